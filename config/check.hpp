// Rules that concern several keys at once. Every value by itself has been read by value.cpp before.
#pragma once

#include "config/node.hpp"

namespace config {

// `table` is what the struct was read from; it says which keys were given, and where.
void check(const Node& table, const ListenerTls& tls, Reading& reading);
void check(const Node& table, const Certificate& certificate, Reading& reading);
void check(const Node& table, const Upstream& upstream, Reading& reading);
void check(const Node& table, const Auth& auth, Reading& reading);
void check(const Node& table, const Audit& audit, Reading& reading);
void check(const Node& table, const Probe& probe, bool keeps_inventory, Reading& reading);

void check(const Node& table, const Admin& admin, Reading& reading);
void check(const Node& table, const Capture& capture, Reading& reading);
/// Its listeners are some of the file's.
void check_capture_listeners(const Node& table, const Config& config, Reading& reading);

void check(const Node& table, const Alert& alert, const Config& config, Reading& reading);
/// No two alerts of one name.
void check_distinct(const std::vector<Alert>& alerts, Reading& reading);

/// The log, the audit and the inventory are three files.
void check_written_files(const Node& root, const Config& config, Reading& reading);

/// What is left of a limit, and for whom.
void check_limits(const Node& root, const Config& config, Reading& reading);

/// Upstreams whose ready connections would be very many.
void check_prewarm(const Node& root, const Config& config, Reading& reading);

}  // namespace config
