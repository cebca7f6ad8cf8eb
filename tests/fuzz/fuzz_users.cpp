// users_file with any contents.
#include <cstdlib>

#include "config/users.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<config::Diagnostic> errors;
    std::vector<config::Diagnostic> warnings;
    const auto users = config::parse_users(protocol::as_text({data, size}), {.path = "users", .origin = {}}, errors, warnings);
    for (const auto& [name, user] : users) {
        if (name.empty()) std::abort();
        if (user.password.empty() && !user.secret && errors.empty()) std::abort();
    }
    for (const auto& diagnostic : errors) {
        if (diagnostic.origin.line < 1 || diagnostic.origin.file != "users") std::abort();
    }
    return 0;
}
