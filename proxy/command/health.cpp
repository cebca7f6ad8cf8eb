// `pgairlock health`: asks the running proxy over HTTP how it is. For containers without curl.
#include <boost/algorithm/string/replace.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdio>
#include <optional>
#include <stdexcept>

#include "config/load.hpp"
#include "config/spelling.hpp"
#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/http/http_server.hpp"
#include "proxy/route/snapshot.hpp"
#include "tls/asio.hpp"

namespace proxy::command {
namespace {

/// As long as the server takes for an answer, and a moment.
constexpr std::chrono::seconds health_patience = HttpServer::answer_time + std::chrono::seconds(2);
constexpr std::size_t max_health_body = 64 * 1024;

struct Health {
    unsigned status = 0;
    std::string body;
};

/// Of "http://127.0.0.1:6433/", "127.0.0.1:6433" and "unix:/path". Throws Unusable.
config::Address address_of_url(std::string url) {
    constexpr std::string_view scheme = "http://";
    if (url.starts_with(scheme)) url.erase(0, scheme.size());
    if (!url.starts_with("unix:") && url.ends_with('/')) url.pop_back();
    if (url.starts_with("localhost:")) url.replace(0, std::string_view("localhost").size(), "127.0.0.1");
    const auto address = config::parse_address(url);
    boost::system::error_code not_an_address;
    if (address && address->kind == config::Address::Kind::tcp) asio::ip::make_address(address->host, not_an_address);
    if (!address || not_an_address || (address->kind == config::Address::Kind::tcp && address->port == 0))
        throw Unusable(config::in_quotes(url) +
                       " is no place to ask: an address or localhost, as in http://127.0.0.1:6433, or unix:/path");
    return *address;
}

/// Whom to ask, and what lets us.
struct Place {
    config::Address address;
    std::string token;  ///< empty: none
};

/// Of a file that is none: none. Throws Unusable.
std::string token_of(const config::File& file) {
    std::vector<config::Diagnostic> errors;
    std::string token = load_http_token(file, errors);
    if (errors.empty()) return token;
    throw Unusable(errors.front().message);
}

/// Where a proxy with this configuration answers. Throws Unusable.
Place place_of_config(const std::string& file) {
    const config::Config config = named_config(file);
    if (config.admin.http.empty())
        throw Unusable("admin.http of " + file + " is off: set it, such as to \"127.0.0.1:6433\"");
    config::Address address = address_of_url(config.admin.http);
    // It listens on all addresses, so it is reached on this host's own.
    if (address.host == "0.0.0.0") address.host = "127.0.0.1";
    if (address.host == "::") address.host = "::1";
    // Whoever may not read it is told yes or no all the same, without the reasons.
    std::vector<config::Diagnostic> ignored;
    return {std::move(address), load_http_token(config.admin.http_token_file, ignored)};
}

asio::generic::stream_protocol::endpoint endpoint_of(const config::Address& address) {
    if (address.kind == config::Address::Kind::unix_socket) return asio::local::stream_protocol::endpoint(address.host);
    return asio::ip::tcp::endpoint(asio::ip::make_address(address.host), address.port);
}

/// Throws boost::system::system_error.
tls::Awaitable<> ask_health(const Place& place, std::string path, std::optional<Health>& answer) {
    namespace http = boost::beast::http;
    const auto wait = asio::use_awaitable_t<tls::Executor>();
    tls::Socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect(endpoint_of(place.address), wait);
    const std::string authorization = place.token.empty() ? "" : "Authorization: Bearer " + place.token + "\r\n";
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + authorization + "Connection: close\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(request), wait);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(max_health_body);
    co_await http::async_read(socket, buffer, parser, wait);
    answer = Health{.status = parser.get().result_int(), .body = parser.get().body()};
}

/// Throws std::runtime_error.
Health health_at(const Place& place, const std::string& path) {
    namespace http = boost::beast::http;
    const config::Address& address = place.address;
    asio::io_context io{1};
    std::optional<Health> answer;
    std::exception_ptr failure;
    asio::co_spawn(io.get_executor(), ask_health(place, path, answer),
                   [&](const std::exception_ptr& error) { failure = error; });
    io.run_for(health_patience);
    try {
        if (failure) std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        const bool is_other = error.code() == http::error::end_of_stream || error.code() == http::error::bad_version ||
                              error.code() == http::error::partial_message;
        throw std::runtime_error("no answer at " + config::to_string(address) + ": " + error.code().message() +
                                 (is_other ? "; is that admin.http, and not a listener?" : ""));
    }
    if (!answer)
        throw std::runtime_error("no answer at " + config::to_string(address) + " within " +
                                 std::to_string(health_patience.count()) + " s");
    return *answer;
}

}  // namespace

int health(const HealthOptions& options) {
    try {
        const Place place = options.url.empty() ? place_of_config(options.config_file)
                                                : Place{address_of_url(options.url),
                                                        token_of({.path = options.token_file, .origin = {}})};
        Health answer = health_at(place, "/" + options.check);
        while (answer.body.ends_with('\n')) answer.body.pop_back();
        const std::string line = boost::algorithm::replace_all_copy(answer.body, "\n", "; ");
        std::printf("%s: %s\n", options.check.c_str(), protocol::printable(line).c_str());
        return answer.status == 200 ? exit_ok : exit_failure;
    } catch (const Unusable& error) {
        std::fprintf(stderr, "error: %s\n", protocol::printable(error.what()).c_str());
        return exit_usage;
    } catch (const std::exception& error) {
        std::printf("%s: %s\n", options.check.c_str(), protocol::printable(error.what()).c_str());
        return exit_failure;
    }
}

}  // namespace proxy::command
