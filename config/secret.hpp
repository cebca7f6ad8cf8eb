// Which values of the configuration a message may quote: errors go to logs, the audit, the console
// and alert receivers, and a secret in the wrong place is an everyday slip. Pure.
#pragma once

#include <string>
#include <string_view>

namespace config {

/// Whether it looks like a URL, "user:password@host", a connection string of libpq, a key that was
/// pasted, or anything else with a password or a token in it.
bool may_hold_secret(std::string_view text);

/// Whether what the key names is a file with a secret, so that the value may be that secret itself.
bool names_secret_file(std::string_view key);

/// Whether it has the form of a file's path, as no password or token has.
bool is_like_path(std::string_view text);

/// "a value of 43 characters"
std::string hidden(std::string_view text);

/// The text in double quotes; of a URL scheme and host alone, and hidden() of all else that may
/// hold a secret.
std::string shown(std::string_view text);

}  // namespace config
