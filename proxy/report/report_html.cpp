// The report as one HTML file that needs nothing else: style, script and pictures are in it, and
// its Content-Security-Policy lets nothing in but the first two by their hashes. Tables are in
// report_html_clients.cpp and report_html_parts.cpp, pictures in report_html_charts.cpp.
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "protocol/base64.hpp"
#include "proxy/report/report_html_assets.hpp"
#include "proxy/report/report_html_parts.hpp"
#include "proxy/report/report_silent.hpp"

namespace proxy::report {
namespace {

using html::escaped;
using html::number;

std::string source_hash(std::string_view source) {
    std::array<std::uint8_t, 32> digest{};
    EVP_Digest(source.data(), source.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return "'sha256-" + protocol::base64_encode(digest) + "'";
}

/// Which proxies, which time, which clients: a page that is mailed must say so itself.
std::string covered(const Report& report) {
    constexpr std::size_t most_listed = 4;
    std::string out;
    if (report.proxies.empty()) {
        out = "no proxy";
    } else if (report.proxies.size() > most_listed) {
        out = number(report.proxies.size()) + " proxies";
    } else {
        for (const ReportProxy& proxy : report.proxies) out += (out.empty() ? "" : ", ") + proxy.name;
    }
    const ReportFilter& filter = report.filter;
    const ReportSummary& s = report.summary;
    if (filter.since || filter.until || s.last_seen > 0) {
        out += ", " + time_text(filter.since.value_or(s.first_seen)).substr(0, 16) + "Z to " +
               time_text(filter.until.value_or(s.last_seen)).substr(0, 16) + "Z";
    }
    for (const auto& [option, value] : restrictions(filter)) out += ", " + option + " " + value;
    return out;
}

/// First: how many proxies are heard of, and what this report does not know.
std::string missing(const Report& report) {
    const ReportSummary& s = report.summary;
    std::string out = "<p>" + proxies_text(report);
    if (s.silent_proxies == 0 && s.incomplete.empty()) return out + ".</p>\n";
    out += ".</p>\n<div class=\"missing\">";
    const SilentProxies silent = silent_proxies(report);
    for (const ReportProxy* proxy : silent.named)
        out += "<p>" + escaped(proxy->name) + " is silent for " + duration_text(proxy->silent) + ".</p>";
    if (silent.others > 0) {
        out += "<p>" + number(silent.others) + (silent.others == 1 ? " other proxy is" : " other proxies are") +
               " silent for longer.</p>";
    }
    for (const std::string& text : s.incomplete) out += "<p>Incomplete: " + escaped(text) + ".</p>";
    return out + "</div>\n";
}

std::string capital(std::string text) {
    if (!text.empty() && text.front() >= 'a' && text.front() <= 'z')
        text.front() = static_cast<char>(text.front() - 'a' + 'A');
    return text;
}

std::string tiles(const Report& report) {
    const ReportSummary& s = report.summary;
    std::string out = "<div class=\"tiles\">";
    const auto tile = [&](std::uint64_t count, const char* classes, const std::string& meaning) {
        out += std::string("<div class=\"tile\"><b class=\"") + (count > 0 ? classes : "faint") + "\">" +
               number(count) + "</b>" + meaning + "</div>";
    };
    if (!is_of_direct_alone(s)) {
        tile(s.clients, "", "clients");
        tile(s.plain, "bad",
             "in clear text: " + number(s.plain_network) + " over a network, " + number(s.plain_local) +
                 " on loopback or a UNIX socket");
        tile(s.tls_not_verifying, "bad", "use TLS, do not verify the server (proven)");
        tile(s.verifying, "good", "verify the server");
        tile(s.unknown, "doubt", "use TLS; not known whether they verify");
        tile(s.breaks_on_force_ssl, "bad",
             "break on rds.force_ssl=1 (" + number(s.breaks_on_force_ssl_unknown) + " not known)");
        tile(s.breaks_on_ca_rotation, "bad",
             "break on the CA rotation (" + number(s.breaks_on_ca_rotation_unknown) + " not known)");
        tile(s.weak, "bad", "weak");
    }
    if (s.mixed > 0) tile(s.mixed, "bad", "mixed");
    if (s.failing > 0) tile(s.failing, "bad", "never succeeded, or no longer do");
    if (s.falls_back > 0) tile(s.falls_back, "bad", "fall back to clear text");
    if (s.never_logged_in > 0) tile(s.never_logged_in, "doubt", "never logged in");
    if (s.unattributed_failures > 0)
        tile(s.unattributed_failures, s.unattributed_refused > 0 ? "bad" : "doubt",
             "handshakes failed that no row explains, " + number(s.unattributed_refused) + " at our certificate");
    if (s.bridged > 0) tile(s.bridged, "", "bridged");
    if (s.accepted > 0) tile(s.accepted, "", "accepted as they are");
    if (s.direct) tile(*s.direct, s.direct_plain > 0 ? "bad" : "doubt", "go around pgairlock (direct)");
    out += "</div>";
    for (const std::string& one : who_goes_around(report))
        out += std::string("<p") + (s.direct ? "" : " class=\"doubt\"") + ">" + escaped(capital(one)) + ".</p>";
    for (const auto& [kind, cost] : s.probes) {
        out += "<p>Probe " + escaped(kind) + ": shown to " + number(cost.shown) + " connections, " +
               number(cost.accepted) + " accepted, " + number(cost.refused) + " lost by it.</p>";
    }
    return out + "\n";
}

std::string explanations(const Report& report) {
    std::string out =
        "<h2>Words</h2><dl><dt>Weak</dt><dd>Some of it in clear text, or it does not verify, or TLS below 1.2.</dd>"
        "<dt>Mixed</dt><dd>Several ways to connect share this name, or it was changed not long ago.</dd>"
        "<dt>Verifies</dt><dd>no: would accept an impostor; yes: checks at least the CA.</dd>"
        "<dt>Breaks on force_ssl</dt><dd>yes: cannot connect any more with rds.force_ssl=1.</dd>"
        "<dt>Breaks on CA rotation</dt><dd>yes: it verifies, and refused the candidate certificate.</dd>"
        "<dt>sslmode</dt><dd>What was seen leaves these modes of libpq open.</dd>"
        "<dt>Direct</dt><dd>Came through no proxy: a server lists it. Connections are different sessions that a look "
        "found.</dd>"
        "<dt>Proof</dt><dd>What the answers rest on; the session is to be found in the audit.</dd>";
    for (int i = 0; i < action_count; ++i) {
        const auto action = static_cast<Action>(i);
        const bool is_there =
            std::any_of(report.clients.begin(), report.clients.end(),
                        [&](const ReportClient& client) { return client.action == action || client.also == action; });
        if (is_there) out += "<dt>" + std::string(to_string(action)) + "</dt><dd>" + escaped(explain(action)) + "</dd>";
    }
    return out + "</dl>\n";
}

std::string page_head(const Report& report) {
    return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src " +
           source_hash(style) + "; script-src " + source_hash(script) +
           "; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
           "<title>pgairlock: migration report of " +
           escaped(covered(report)) + "</title>\n<style>" + std::string(style) + "</style></head>\n";
}

}  // namespace

std::string to_html(const Report& report, Timestamp now) {
    const ReportSummary& s = report.summary;
    std::string out = page_head(report) + "<body><h1>Migration report</h1><p>" + escaped(covered(report)) + "</p>\n" +
                      missing(report) + "<p class=\"faint\">Made " + time_text(now) + " from " +
                      plural(s.connections, "connection") + " and " + plural(s.failures, "failure");
    if (s.last_seen > 0) out += ", seen from " + time_text(s.first_seen) + " to " + time_text(s.last_seen);
    out += ".</p>\n" + tiles(report) + html::charts(report) + html::comparison(report) + html::clients(report) +
           html::certificates(report) + explanations(report) + "<script>";
    out += script;
    return out + "</script></body></html>\n";
}

}  // namespace proxy::report
