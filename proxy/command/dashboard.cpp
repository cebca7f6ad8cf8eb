// `pgairlock dashboard`: the web page over inventories, without a proxy behind it.
#include <unistd.h>

#include <array>
#include <boost/asio/signal_set.hpp>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "config/load.hpp"
#include "config/parse.hpp"
#include "config/spelling.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/dashboard/dashboard_site.hpp"
#include "proxy/http/http_guard.hpp"
#include "proxy/http/http_server.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/server/listener.hpp"

namespace proxy::command {
namespace {

/// The command can be given otherwise, and would work.
struct NotSo : std::runtime_error {
    using std::runtime_error::runtime_error;
};

config::Address wanted_address(const std::string& text) {
    const auto address = config::parse_address(text);
    if (!address)
        throw NotSo("--listen: expected ADDR:PORT, as 127.0.0.1:6440, or unix:PATH, got " + config::in_quotes(text));
    return *address;
}

std::string wanted_token(const DashboardOptions& options) {
    if (options.token_file.empty()) return {};
    std::vector<config::Diagnostic> errors;
    std::string token = load_http_token({.path = options.token_file, .origin = {}}, errors);
    if (!errors.empty()) throw NotSo("--token-file: " + errors.front().message);
    return token;
}

dashboard::InventoryPlace place_of(const std::string& where) {
    return {[where] {
        std::vector<InventoryRows> all = proxy::read_inventories(where);
        for (InventoryRows& one : all) tell_of_gap(where, one.proxy);
        return all;
    }};
}

/// What is written wrong is said at once; what is away is waited for.
std::vector<dashboard::InventoryPlace> wanted_places(const ClientsOptions& options) {
    std::vector<dashboard::InventoryPlace> places;
    for (const std::string& where : inventory_places(options)) {
        try {
            if (PostgresUrl::is_one(where)) {
                const PostgresUrl readable(where);
            } else if (!std::filesystem::exists(where)) {
                throw NotSo("no inventory: there is no " + where +
                            "; name a proxy's state directory with --state-dir DIR, or its audit.inventory with "
                            "--inventory URL");
            }
        } catch (const PostgresError& error) {
            throw NotSo(std::string("--inventory: ") + error.what());
        }
        places.push_back(place_of(where));
    }
    return places;
}

HttpGuard guard_of(std::string token, bool needs_token) {
    HttpGuard guard{.names = {}, .token = std::move(token), .needs_token = needs_token};
    guard.token_place = "the file of --token-file";
    char host[HOST_NAME_MAX + 1] = {};
    if (::gethostname(host, HOST_NAME_MAX) == 0) add_host_name(guard.names, host);
    return guard;
}

tls::Awaitable<HttpResponse> answer(dashboard::DashboardSite& site, const HttpGuard& guard,
                                    const HttpRequest& request) {
    if (auto refusal = refused_request(request, guard)) co_return std::move(*refusal);
    if (request.path == "/livez") co_return http_text(200, "ok");
    if (request.path == "/readyz") {
        HttpResponse readiness = co_await site.readyz();
        co_return readiness;
    }
    std::optional<HttpResponse> response = co_await site.answer(request);
    if (response) co_return std::move(*response);
    static constexpr std::array paths{HttpPath{"/", "the dashboard"}, HttpPath{"/api/", "what it is made of, as JSON"},
                                      HttpPath{"/livez", "the process answers"},
                                      HttpPath{"/readyz", "its inventories answered"}};
    co_return http_not_found(request.path, paths);
}

void serve(std::vector<dashboard::InventoryPlace> places, const config::Address& address, const HttpGuard& guard) {
    asio::io_context io(1);
    dashboard::DashboardSite site(io.get_executor(),
                                  std::make_shared<dashboard::Survey>(dashboard::Survey::Settings{
                                      .places = std::move(places), .running = nullptr, .counts = false}),
                                  nullptr);
    HttpServer server(io.get_executor(), [&](const HttpRequest& request) { return answer(site, guard, request); });
    const auto socket = std::make_shared<Listener>(io, bind_listener(address, 0600));
    asio::basic_signal_set<tls::Executor> signals(io.get_executor(), SIGINT, SIGTERM);
    signals.async_wait([&](boost::system::error_code, int) {
        socket->stop();
        site.close();
        server.close();
        io.stop();
    });
    site.begin();
    socket->serve([&](int fd, const Peer& peer) { server.take(fd, peer.family, peer.address); });
    std::printf("dashboard at %s\n", socket->address().c_str());
    std::fflush(stdout);
    for (;;) {
        try {
            io.run();
            return;
        } catch (const std::exception& error) {
            print_error(error.what());  // it has cost its connection, and no other
        }
    }
}

}  // namespace

int dashboard(const DashboardOptions& options) try {
    std::signal(SIGPIPE, SIG_IGN);
    const config::Address address = wanted_address(options.listen);
    std::string token = wanted_token(options);
    auto places = wanted_places(options.clients);
    const bool needs_token = !config::is_of_this_host(address);
    if (needs_token && token.empty()) {
        print_error("--listen " + options.listen +
                    " is reached from other hosts: give --token-file FILE, a file (0600) with a line of 16 to 1024 "
                    "characters that they must send, or listen at 127.0.0.1");
        return exit_failure;
    }
    serve(std::move(places), address, guard_of(std::move(token), needs_token));
    // A database that hangs is not waited for.
    if (OwnThread::left_behind()) std::_Exit(exit_ok);
    return exit_ok;
} catch (const NotSo& error) {
    print_error(error.what());
    return exit_usage;
} catch (const Unusable& error) {
    print_error(error.what());
    return exit_usage;
} catch (const std::exception& error) {
    print_error(with_holder(error));
    return exit_failure;
}

}  // namespace proxy::command
