// The pass phrase of a private key, from a command (PostgreSQL's ssl_passphrase_command).
#pragma once

#include <chrono>
#include <string>

#include "protocol/bytes.hpp"

namespace tls {

/// Whatever a pass phrase comes from, a person is not there to type it: long enough for a key
/// management service, short enough for a start.
inline constexpr std::chrono::seconds passphrase_timeout{20};

struct PassPhrase {
    protocol::Buffer text;  ///< without its line break
    std::string error;      ///< set: there is none; "exited with code 1". Never holds the command or what it wrote
};

/// Runs `command` with /bin/sh, as PostgreSQL does: `%p` in it becomes the prompt, `%%` a percent
/// sign; the first line of its output is the pass phrase, without the line break, and it must exit
/// with 0. Its input is empty. After `timeout` it and its children are killed. Blocks meanwhile.
PassPhrase ask_passphrase(const std::string& command, std::chrono::milliseconds timeout = passphrase_timeout);

}  // namespace tls
