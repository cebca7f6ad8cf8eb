// Files that the configuration names, read whole.
#pragma once

#include <optional>
#include <vector>

#include "config/config.hpp"
#include "protocol/bytes.hpp"

namespace config {

/// `certificate`: anyone may read it. `private_key`, `users`: refused when group or others may, by
/// PostgreSQL's rule (0600 or less when owned by us, 0640 or less when owned by root).
enum class FileKind { certificate, private_key, users };

/// 'private key file "/etc/x.key"', for messages.
std::string quoted(const File& file, FileKind kind);

/// nullopt: unreadable, not a regular file, over 16 MiB, or open to others; an error says which.
std::optional<protocol::Buffer> read_file(const File& file, FileKind kind, std::vector<Diagnostic>& errors);

}  // namespace config
