// The command-line options that several commands have, and those of `pgairlock client` and
// `pgairlock capture`.
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

}  // namespace proxy::command
