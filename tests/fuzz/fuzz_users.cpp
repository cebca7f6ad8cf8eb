// users_file with any contents; and what was read, written again.
#include <algorithm>
#include <cstdlib>

#include "config/users.hpp"

namespace {

using config::Diagnostic;

void check(bool holds) {
    if (!holds) std::abort();
}

struct Parsed {
    config::Users users;
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;
};

Parsed parse(std::string_view text) {
    Parsed parsed;
    parsed.users = config::parse_users(text, {.path = "users", .origin = {}}, parsed.errors, parsed.warnings);
    return parsed;
}

std::string quoted(std::string_view text) {
    std::string field = "\"";
    for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
    return field + "\"";
}

void point_into(const std::vector<Diagnostic>& diagnostics, std::string_view text) {
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    int last = 0;
    for (const Diagnostic& diagnostic : diagnostics) {
        check(diagnostic.origin.file == "users" && !diagnostic.message.empty());
        check(diagnostic.origin.line >= std::max(last, 1) && diagnostic.origin.line <= lines);
        last = diagnostic.origin.line;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = protocol::as_text({data, size});
    const Parsed parsed = parse(text);
    point_into(parsed.errors, text);
    point_into(parsed.warnings, text);
    for (const auto& [name, user] : parsed.users) {
        check(!name.empty());
        if (user.secret) {
            check(user.password.empty() && user.secret->salt.iterations <= protocol::max_scram_iterations);
            continue;
        }
        if (user.password.empty()) {
            check(!parsed.errors.empty());  // a broken secret
            continue;
        }
        const std::string_view password = protocol::as_text(user.password);
        const Parsed again = parse(quoted(name) + " " + quoted(password) + "\r\n");
        check(again.errors.empty() && again.warnings.empty() && again.users.size() == 1);
        check(again.users.begin()->first == name && again.users.begin()->second.password == user.password);
    }
    return 0;
}
