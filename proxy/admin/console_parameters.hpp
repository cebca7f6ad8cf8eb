// What the console says of itself where PostgreSQL has its settings.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "protocol/startup.hpp"
#include "proxy/admin/console_peer.hpp"

namespace proxy {

/// What clients are told about us after their login, and may ask for by SHOW.
std::vector<std::pair<std::string, std::string>> console_parameters(const protocol::StartupMessage& startup,
                                                                    const ConsoleAsker& asker);

/// Those and the others that SHOW name, pg_settings and current_setting() tell.
std::vector<std::pair<std::string, std::string>> shown_settings(const ConsoleAsker& asker);

}  // namespace proxy
