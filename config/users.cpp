#include "config/users.hpp"

#include <algorithm>
#include <optional>

namespace config {
namespace {

using protocol::Buffer;

std::string_view trim_left(std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t\r\f\v");
    return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

/// The quoted field at the front of `text`, which is consumed; nullopt: there is none, or it does
/// not end.
std::optional<Buffer> take_field(std::string_view& text) {
    text = trim_left(text);
    if (!text.starts_with('"')) return std::nullopt;
    Buffer field;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            const bool escaped = i + 1 < text.size() && text[i + 1] == '"';
            if (!escaped) {
                text.remove_prefix(i + 1);
                return field;
            }
            ++i;
        }
        field.push_back(static_cast<std::uint8_t>(text[i]));
    }
    return std::nullopt;
}

/// As PostgreSQL tells them apart: get_password_type() in src/backend/libpq/crypt.c.
bool is_md5(std::string_view password) {
    return password.size() == 35 && password.starts_with("md5") &&
           password.substr(3).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Users parse_users(std::string_view text, const File& file, std::vector<Diagnostic>& errors,
                  std::vector<Diagnostic>& warnings) {
    Users users;
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = trim_left(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with(';')) continue;

        const Origin here{.file = file.path, .line = number, .column = 0, .key = {}};
        const auto name = take_field(line);
        auto password = name ? take_field(line) : std::nullopt;
        if (!password || name->empty()) {
            errors.push_back({here, R"(expected "user" "password", each in double quotes)"});
            continue;
        }
        const std::string user(protocol::as_text(*name));
        protocol::ScramUser entry;
        const std::string_view given = protocol::as_text(*password);
        if (given.starts_with("SCRAM-SHA-256$")) {
            entry.secret = protocol::parse_scram_secret(given);
            if (!entry.secret) {
                errors.push_back(
                    {here, "the SCRAM secret of user \"" + user + "\" is broken: expected " +
                               "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, as in pg_authid.rolpassword"});
            }
        } else if (is_md5(given)) {
            warnings.push_back(
                {here, "user \"" + user + "\" has an MD5 hash, which is of no use for SCRAM: the user is left out"});
            users.erase(user);
            continue;
        } else if (given.empty()) {
            warnings.push_back({here, "user \"" + user + "\" has no password: the user is left out"});
            users.erase(user);
            continue;
        } else {
            entry.password = std::move(*password);
        }
        if (users.contains(user))
            warnings.push_back({here, "user \"" + user + "\" was there before: this line counts"});
        users[user] = std::move(entry);
    }
    return users;
}

}  // namespace config
