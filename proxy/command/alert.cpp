// `pgairlock alert test`: sends a message that says it is a test through every [[alert]], and says
// what was answered.
#include <algorithm>
#include <csignal>
#include <cstdio>

#include "config/keys.hpp"
#include "config/spelling.hpp"
#include "protocol/utf8.hpp"
#include "proxy/alert/alert_delivery.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/observation/random_name.hpp"
#include "proxy/route/proxy_name.hpp"

namespace proxy::command {
namespace {

using Routes = std::vector<std::shared_ptr<const AlertRoute>>;

/// Which key says where it goes.
std::string_view key_of(const config::Alert& alert) {
    return !alert.command.empty() ? "command" : alert.webhook_file.path.empty() ? "webhook" : "webhook_file";
}

/// What is usually amiss; empty: what was answered says it.
std::string_view usual_remedy(std::string_view what) {
    const auto has = [&](std::string_view words) { return what.find(words) != std::string_view::npos; };
    if (has("HTTP 401") || has("HTTP 403")) return "it wants another token: token_file, or a part of the URL";
    if (has("HTTP 404") || has("HTTP 410")) return "nobody takes messages at this URL any more: make a new one there";
    if (has("HTTP 400") || has("HTTP 422"))
        return "it wants another message: template (json or slack) or template_file";
    if (has("HTTP 3")) return "redirects are not followed: write the URL that it leads to";
    if (has("certificate") || has("issuer") || has("hostname")) {
        return "the server's CA has to be in sslrootcert, and the URL's name in its certificate";
    }
    if (has("refused") || has("timed out") || has("within") || has("unreachable")) {
        return "this host has to reach it: firewall, proxy, port";
    }
    if (has("exit 127") || has("No such file") || has("Permission denied")) {
        return "the program has to be there and executable for the user that pgairlock runs as";
    }
    return {};
}

/// "  pgairlock.toml:12: alert.webhook: ..."
void tell_remedy(const config::Alert& alert, const std::string& what) {
    const std::string_view remedy = usual_remedy(what);
    config::Diagnostic told{.origin = alert.origin, .message = {}};
    told.origin.column = 0;
    told.origin.key = "alert." + std::string(key_of(alert));
    told.message = "of [[alert]] \"" + alert.name + "\"" + (remedy.empty() ? "" : ": " + std::string(remedy));
    std::printf("  %s\n", protocol::printable(to_string(told)).c_str());
}

bool try_one(const AlertRoute& route, const std::string& proxy) {
    static const std::atomic<bool> never{false};
    const AlertMessage message =
        test_message("test-" + random_name(), route.settings.on, std::chrono::system_clock::now());
    const AttemptResult result = deliver(message, route, proxy, Attempt::Clock::time_point::max(), never);
    const bool sent = result.end == AttemptResult::End::sent;
    std::printf("%s: %s: %s: %s\n", route.settings.name.c_str(), protocol::printable(route.shown()).c_str(),
                sent ? "sent" : "FAILED", protocol::printable(result.what).c_str());
    if (!sent) tell_remedy(route.settings, result.what);
    return sent;
}

void tell_of_none(const config::Config& config, const std::string& on) {
    const std::string file = protocol::printable(config.file);
    if (config.alerts.empty()) {
        std::fprintf(stderr,
                     "error: %s: there is no [[alert]]; add one, such as\n"
                     "  [[alert]]\n  on = [\"new_weak_client\", \"certificate_expiring\"]\n"
                     "  command = [\"/usr/local/bin/page-me\"]\nMore: docs/alerts.md\n",
                     file.c_str());
        return;
    }
    for (const config::Alert& alert : config.alerts) {
        std::string kinds;
        const auto names = config::names<config::AlertKind>();
        for (const config::AlertKind kind : alert.on) {
            kinds += (kinds.empty() ? "" : ", ") + std::string(names[static_cast<std::size_t>(kind)]);
        }
        config::Diagnostic told{.origin = alert.origin, .message = "is told of " + kinds + ", and not of " + on};
        std::fprintf(stderr, "error: %s\n", protocol::printable(to_string(told)).c_str());
    }
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
        tell_of_none(*loaded.config, options.on);
        return exit_usage;
    }
    std::signal(SIGPIPE, SIG_IGN);
    bool all_sent = true;
    for (const auto& route : *routes) all_sent = try_one(*route, proxy_name(loaded.config->runtime)) && all_sent;
    return all_sent ? exit_ok : exit_failure;
}

}  // namespace proxy::command
