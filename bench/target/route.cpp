#include "bench/target/route.hpp"

#include <netdb.h>

#include <stdexcept>

#include "protocol/startup.hpp"

namespace bench {
namespace {

std::vector<Endpoint> look_up(const Target& target) {
    if (target.is_unix_socket()) return {asio::local::stream_protocol::endpoint(address_text(target))};
    const std::string& host = target.hostaddr.empty() ? target.host : target.hostaddr;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = target.hostaddr.empty() ? 0 : AI_NUMERICHOST;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
    if (error != 0)
        throw std::runtime_error("target \"" + target.name + "\": could not translate host name \"" + host +
                                 "\" to address: " + gai_strerror(error));
    std::vector<Endpoint> endpoints;
    for (const addrinfo* each = found; each; each = each->ai_next)
        endpoints.emplace_back(each->ai_addr, each->ai_addrlen, IPPROTO_TCP);
    freeaddrinfo(found);
    return endpoints;
}

std::unique_ptr<const tls::UpstreamContext> make_context(const Target& target) {
    if (!target.encrypts()) return nullptr;
    config::Upstream settings;
    settings.name = target.name;
    settings.sslmode = target.sslmode;
    settings.ssl_groups.clear();  // OpenSSL's default, as in libpq
    if (!target.sslrootcert.empty())
        settings.sslrootcert.push_back({.path = target.sslrootcert, .origin = {.file = {}, .key = "sslrootcert"}});
    std::vector<config::Diagnostic> errors;
    std::vector<config::Diagnostic> warnings;  // expired roots in a bundle are of no concern here
    auto context = std::make_unique<tls::UpstreamContext>(settings, errors, warnings);
    if (!errors.empty()) throw std::invalid_argument("target \"" + target.name + "\": " + to_string(errors.front()));
    return context;
}

protocol::Buffer make_startup_message(const Target& target) {
    constexpr std::uint32_t version_3_0 = 3 << 16;
    return protocol::serialize(protocol::StartupMessage{
        .version = version_3_0,
        .parameters = {
            {"user", target.user}, {"database", target.dbname}, {"application_name", target.application_name}}});
}

}  // namespace

Route::Route(Target target)
    : target_(std::move(target)),
      tls_(make_context(target_)),
      endpoints_(look_up(target_)),
      startup_message_(make_startup_message(target_)) {}

}  // namespace bench
