// `pgairlock alert test`: sends a message that says it is a test through every [[alert]], and says
// what was answered.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>

#include "config/keys.hpp"
#include "config/spelling.hpp"
#include "protocol/utf8.hpp"
#include "proxy/alert/alert_delivery.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/route/proxy_name.hpp"

namespace proxy::command {
namespace {

using Routes = std::vector<std::shared_ptr<const AlertRoute>>;

bool try_one(const AlertRoute& route, const std::string& proxy) {
    static const std::atomic<bool> never{false};
    std::random_device device;
    char id[40];
    std::snprintf(id, sizeof id, "test-%08x%08x", device(), device());
    const AlertMessage message = test_message(id, route.settings.on, std::chrono::system_clock::now());
    const AttemptResult result = deliver(message, route, proxy, Attempt::Clock::time_point::max(), never);
    const bool sent = result.end == AttemptResult::End::sent;
    std::printf("%s: %s: %s: %s\n", route.settings.name.c_str(), protocol::printable(route.shown()).c_str(),
                sent ? "sent" : "FAILED", protocol::printable(result.what).c_str());
    return sent;
}

/// nullopt: there are errors, which were printed.
std::optional<Routes> load_alerts(const config::Config& config) {
    Routes routes;
    std::vector<config::Diagnostic> errors, warnings;
    for (const config::Alert& settings : config.alerts) routes.push_back(load_alert(settings, errors, warnings));
    print(errors, warnings);
    return errors.empty() ? std::optional(std::move(routes)) : std::nullopt;
}

}  // namespace

int alert_test(const AlertTestOptions& options) {
    const config::Loaded loaded = load_config({.config_file = options.config_file, .flags = {}});
    print(loaded.errors, loaded.warnings);
    if (!loaded.config) return exit_usage;
    const auto kinds = config::names<config::AlertKind>();
    const auto named = std::find(kinds.begin(), kinds.end(), options.on);
    if (!options.on.empty() && named == kinds.end()) {
        std::fprintf(stderr, "error: --on: %s\n", protocol::printable(config::not_one_of(options.on, kinds)).c_str());
        return exit_usage;
    }
    std::optional<config::AlertKind> kind;
    if (named != kinds.end()) kind = static_cast<config::AlertKind>(named - kinds.begin());
    auto routes = load_alerts(*loaded.config);
    if (!routes) return exit_usage;
    std::erase_if(*routes, [&](const auto& route) {
        const auto& on = route->settings.on;
        return kind && std::find(on.begin(), on.end(), *kind) == on.end();
    });
    if (routes->empty()) {
        std::fprintf(stderr, kind ? "error: no [[alert]] is told of that\n" : "error: there is no [[alert]]\n");
        return exit_usage;
    }
    std::signal(SIGPIPE, SIG_IGN);
    bool all_sent = true;
    for (const auto& route : *routes) all_sent = try_one(*route, proxy_name(loaded.config->runtime)) && all_sent;
    return all_sent ? exit_ok : exit_failure;
}

}  // namespace proxy::command
