// Files that the configuration names, read whole.
#pragma once

#include <optional>
#include <vector>

#include "config/config.hpp"
#include "protocol/bytes.hpp"

namespace config {

/// `certificate`, `revocation_list`, `text`: anyone may read them. The others: refused when group
/// or others may, by PostgreSQL's rule (0600 or less when owned by us, 0640 or less when owned by
/// root).
enum class FileKind { certificate, revocation_list, text, private_key, users, secret };

/// 'private key file "/etc/x.key"', for messages.
std::string quoted(const File& file, FileKind kind);

/// Which of PostgreSQL's rules for secret files this one breaks; empty: none, or there is no such
/// file.
std::string why_not_secret(const std::string& path);

/// nullopt: unreadable, not a regular file, over 16 MiB, or open to others; an error says which.
std::optional<protocol::Buffer> read_file(const File& file, FileKind kind, std::vector<Diagnostic>& errors);

}  // namespace config
