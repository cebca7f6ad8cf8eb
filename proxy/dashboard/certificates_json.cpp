#include "proxy/dashboard/certificates_json.hpp"

#include "proxy/report/report_json.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;

json::value upstream_certificates(const report::Report* report, SystemTime now) {
    if (!report) return nullptr;
    json::array all = report::certificates_array(*report);
    for (std::size_t i = 0; i < all.size(); ++i) {
        json::object& one = all[i].as_object();
        one["days_left"] = days_left(to_time(report->upstream_certificates[i].row.not_after), now);
        one["chain"] = nullptr;  // the inventory has the server's own certificate alone
    }
    return all;
}

json::value server_certificates(const Snapshot* running, SystemTime now) {
    if (!running) return nullptr;
    json::array all;
    for (const auto& route : running->listeners) {
        if (!route->tls) continue;
        // The configuration is as it was written: without those that are made in the state
        // directory.
        const config::ListenerTls* written = nullptr;
        for (const config::Listener& listener : running->config.listeners) {
            if (listener.name == route->settings.name) written = &listener.tls;
        }
        const bool is_generated = written && !written->cert_file && written->certificate.empty();
        const auto lives = route->tls->lives();
        const auto certificates = route->tls->certificates();
        for (std::size_t i = 0; i < certificates.size(); ++i) {
            const tls::CertificateFacts& facts = certificates[i];
            json::array sans;
            for (const std::string& san : facts.sans) sans.push_back(name(san));
            all.push_back(
                {{"listener", name(route->settings.name)},
                 {"key_type", lives[i].key_type},
                 {"subject", text(facts.subject)},
                 {"sans", std::move(sans)},
                 {"issuer", text(facts.issuer)},
                 {"not_before", time(facts.not_before)},
                 {"not_after", time(facts.not_after)},
                 {"days_left", days_left(facts.not_after, now)},
                 {"generated", is_generated},
                 {"trust", route->settings.tls.trust == config::Trust::distributed ? "distributed" : "undistributed"}});
        }
    }
    return all;
}

json::value anchors(const Snapshot* running, SystemTime now) {
    if (!running) return nullptr;
    json::array all;
    for (const auto& route : running->upstreams) {
        if (!route->tls) continue;
        for (const auto& anchor : route->tls->known_anchors()) {
            all.push_back({{"upstream", name(route->settings.name)},
                           {"file", name(anchor.file)},
                           {"subject", text(anchor.subject)},
                           {"not_after", time(anchor.not_after)},
                           {"days_left", days_left(anchor.not_after, now)},
                           {"candidate", anchor.candidate},
                           {"key_sha256", anchor.key_sha256}});
        }
    }
    return all;
}

}  // namespace

json::object certificates_object(const report::Report* report, const Snapshot* running, SystemTime now) {
    return {{"upstream", upstream_certificates(report, now)},
            {"server", server_certificates(running, now)},
            {"anchors", anchors(running, now)}};
}

}  // namespace proxy::dashboard
