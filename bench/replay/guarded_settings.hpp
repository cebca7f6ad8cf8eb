// The settings that a replay without --writes stands on: what a capture says of them is not sent.
#pragma once

#include <string_view>

#include "protocol/startup.hpp"

namespace bench::replay {

/// Whether the setting `name`, in any spelling, could lift the read-only mode, change who runs the
/// statements, load a library, let a read change a page, or let sql_rules.hpp take a text for
/// something else.
bool is_guarded(std::string_view name);

/// Whether a search_path, as set_config() takes it, may name pg_catalog behind something else:
/// without being named it is first.
bool hides_pg_catalog(std::string_view search_path);

/// Takes what is guarded out of a startup message, and out of its `options`. True: there was some.
/// Of `options`, only what sets a named setting is kept.
bool remove_guarded(protocol::StartupMessage& startup);

}  // namespace bench::replay
