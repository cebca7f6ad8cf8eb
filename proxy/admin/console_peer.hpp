// Who is at the other end of a console connection, and what that user may do.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "config/config.hpp"

namespace proxy {

enum class ConsoleRight { none, read, command };

/// What the kernel says of a UNIX-domain socket's peer; nullopt: nothing.
std::optional<uid_t> peer_uid(int fd) noexcept;

/// Root, our own user and `console_uids` command; `console_readers` read.
ConsoleRight right_of(uid_t uid, const config::Admin& admin) noexcept;

/// Who asks.
struct ConsoleAsker {
    uid_t uid = 0;
    ConsoleRight right = ConsoleRight::none;
    std::string user{};  ///< as it calls itself, which says nothing about its rights
    std::chrono::milliseconds statement_timeout{0};
};

/// "uid 1000 (alice)", or "uid 1000" when nobody knows the name. Looks it up, which may take long.
std::string user_text(uid_t uid);

}  // namespace proxy
