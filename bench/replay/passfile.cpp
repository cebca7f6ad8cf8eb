#include "bench/replay/passfile.hpp"

namespace bench::replay {
namespace {

/// Where libpq looks for a socket when nothing is said: Debian's, and PostgreSQL's own.
bool is_default_socket_folder(std::string_view host) { return host == "/var/run/postgresql" || host == "/tmp"; }

}  // namespace

PasswordFor password_for(const Target& target, std::string_view database, std::string_view user) {
    return {.host = is_default_socket_folder(target.host) ? "localhost" : target.host,
            .port = target.port,
            .database = std::string(database),
            .user = std::string(user)};
}

}  // namespace bench::replay
