#include "proxy/route/alert_route.hpp"

#include <algorithm>

#include "config/file.hpp"
#include "tls/system_store.hpp"

namespace proxy {

std::string AlertRoute::shown() const { return url ? config::shown(*url) : settings.command.front(); }

std::string load_secret_line(const config::File& file, LineLimits limits, std::vector<config::Diagnostic>& errors) {
    if (!file) return {};
    const auto bytes = config::read_file(file, config::FileKind::secret, errors);
    if (!bytes) return {};
    std::string line(protocol::as_text(*bytes));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    const bool is_printable = std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 127; });
    if (is_printable && line.size() >= limits.shortest && line.size() <= limits.longest) return line;
    errors.push_back({file.origin, "\"" + file.path + "\" holds no secret: one line of " +
                                       std::to_string(limits.shortest) + " to " + std::to_string(limits.longest) +
                                       " characters without blanks"});
    return {};
}

namespace {

void load_url(AlertRoute& route, std::vector<config::Diagnostic>& errors) {
    const config::Alert& settings = route.settings;
    const std::string text =
        settings.webhook_file ? load_secret_line(settings.webhook_file, {}, errors) : settings.webhook;
    if (text.empty()) return;
    const config::ParsedWebUrl parsed = config::parse_web_url(text);
    const config::Origin& origin = settings.webhook_file ? settings.webhook_file.origin : settings.origin;
    if (!parsed.url) errors.push_back({origin, "the URL " + parsed.error});
    route.url = parsed.url;
}

void load_template(AlertRoute& route, std::vector<config::Diagnostic>& errors) {
    const config::File& file = route.settings.template_file;
    if (!file) return;
    const auto bytes = config::read_file(file, config::FileKind::text, errors);
    if (!bytes) return;
    try {
        route.own_form = AlertTemplate(protocol::as_text(*bytes));
    } catch (const std::runtime_error& error) {
        errors.push_back({file.origin, "\"" + file.path + "\": " + error.what()});
    }
}

}  // namespace

std::shared_ptr<const AlertRoute> load_alert(const config::Alert& settings, std::vector<config::Diagnostic>& errors,
                                             std::vector<config::Diagnostic>& warnings) {
    auto route = std::make_shared<AlertRoute>();
    route->settings = settings;
    if (settings.command.empty()) load_url(*route, errors);
    if (route->url && route->url->tls) {
        auto anchors = settings.sslrootcert;
        if (anchors.empty()) anchors.push_back({.path = std::string(tls::system_store), .origin = settings.origin});
        route->tls = std::make_unique<const tls::WebContext>(anchors, errors, warnings);
    }
    route->token = load_secret_line(settings.token_file, {}, errors);
    load_template(*route, errors);
    return route;
}

}  // namespace proxy
