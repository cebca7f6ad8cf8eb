// What systemd is told, and the sockets that it hands over (sd_notify(3), sd_listen_fds(3)).
// Without systemd nothing happens.
#pragma once

#include <string>
#include <vector>

namespace proxy {

void notify_ready(const std::string& status);
void notify_reloading();
void notify_stopping();

/// Descriptors passed by socket activation; asked for once.
std::vector<int> activated_sockets();

}  // namespace proxy
