// The command-line options that several commands have, and those of `pgairlock client`, `pgairlock
// capture` and of what asks a running proxy.
#pragma once

#include "proxy/command/commands.hpp"

namespace CLI {
class App;
}

namespace proxy::command {

/// Which inventories.
void add_inventories(CLI::App& command, ClientsOptions& clients);

/// Whose clients, and which of them.
void add_clients(CLI::App& command, ClientsOptions& clients);

/// `client`, and the commands below it. `client` must live as long as `app`.
void add_client(CLI::App& app, ClientOptions& client);

/// `capture`, likewise, without `read`.
CLI::App* add_capture(CLI::App& app, CaptureOptions& capture);
CLI::App* add_capture_read(CLI::App& capture, CaptureReadOptions& read);

/// Asking and telling a running proxy, and the dashboard over inventories.
CLI::App* add_health(CLI::App& app, HealthOptions& health);
CLI::App* add_dashboard(CLI::App& app, DashboardOptions& dashboard);
/// `sample`.
CLI::App* add_sample(CLI::App& app, SampleOptions& sample);
CLI::App* add_alert_test(CLI::App& app, AlertTestOptions& test);
CLI::App* add_reload(CLI::App& app, ReloadOptions& reload);
CLI::App* add_upgrade(CLI::App& app, UpgradeOptions& upgrade);

}  // namespace proxy::command
