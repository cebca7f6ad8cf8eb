// The report as one HTML file that needs nothing else: style, script and picture are in it, and its
// Content-Security-Policy lets nothing in but those two by their hashes. It can be read without the
// script, which only sorts and filters.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "protocol/base64.hpp"
#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--ground:#fff;--text:#1a1d21;--faint:#5d6670;--line:#d5dae0;--band:#f4f6f8;--bad:#b3261e;--doubt:#8a5a00;--good:#1b6e3c;
--plain:#c62828;--old:#ef8e2c;--t12:#6fa8dc;--t13:#2e7d5b;--other:#8a8f98}
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--text:#e4e7ea;--faint:#9aa4ae;--line:#363c44;--band:#1e2329;--bad:#ff8a80;--doubt:#ffc766;--good:#7bd69a;
--plain:#e5564d;--old:#f2a65a;--t12:#6fa8dc;--t13:#4caf84;--other:#8a8f98}}
body{margin:2rem;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.faint{color:var(--faint)}.bad{color:var(--bad)}.doubt{color:var(--doubt)}.good{color:var(--good)}.number{text-align:right;font-variant-numeric:tabular-nums}
.tiles{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}.tile{border:1px solid var(--line);border-radius:6px;padding:.6rem .9rem;min-width:8.5rem;max-width:14rem}
.tile b{display:block;font-size:1.6rem;line-height:1.2}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{background:var(--band);vertical-align:bottom}td{overflow-wrap:break-word;max-width:15rem}td.word{white-space:nowrap}
th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid currentColor}
th[aria-sort=ascending] button::after{content:" \2191"}th[aria-sort=descending] button::after{content:" \2193"}
form{display:flex;flex-wrap:wrap;gap:.75rem;margin:.5rem 0}input,select{font:inherit;padding:.25rem .4rem}
summary{cursor:pointer}details table{font-size:.85rem;margin:.3rem 0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
svg{width:100%;max-width:60rem;height:auto}svg text{fill:var(--faint);font-size:11px}.axis{stroke:var(--line)}
.m-plain{fill:var(--plain)}.m-old{fill:var(--old)}.m-t12{fill:var(--t12)}.m-t13{fill:var(--t13)}.m-other{fill:var(--other)}
.key{display:inline-block;margin-right:1.2rem}.key svg{width:.8rem;height:.8rem}
@media print{body{margin:0;font-size:11px}form{display:none}tr{break-inside:avoid}.scroll{overflow:visible}}
)css";

constexpr std::string_view script = R"js(
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent.trim();
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => head.dataset.type === "number" ? Number(a) - Number(b) : a.localeCompare(b);
    const rows = [...body.rows].sort((a, b) => compare(value(a, i), value(b, i)) * (down ? -1 : 1));
    body.append(...rows);
  }));
}
const text = document.getElementById("text"), action = document.getElementById("action"), shown = document.getElementById("shown");
const rows = [...document.getElementById("clients").tBodies[0].rows];
function filter() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const content = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => content.includes(word)) || (action.value !== "" && row.dataset.action !== action.value);
    if (!row.hidden) ++count;
  }
  shown.textContent = count + " of " + rows.length;
}
text.addEventListener("input", filter);
action.addEventListener("change", filter);
document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("filter").hidden = false;
filter();
)js";

std::string source_hash(std::string_view source) {
    std::array<std::uint8_t, 32> digest{};
    EVP_Digest(source.data(), source.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return "'sha256-" + protocol::base64_encode(digest) + "'";
}

/// Fit for an element's text and for an attribute in quotation marks.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string decimal(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

std::string cell(std::string_view text, std::string_view classes = "") {
    return (classes.empty() ? "<td>" : "<td class=\"" + std::string(classes) + "\">") + escaped(text) + "</td>";
}

std::string number_cell(std::uint64_t value) {
    return "<td class=\"number\" data-value=\"" + number(value) + "\">" + number(value) + "</td>";
}

/// Shown to the minute, sorted by the microsecond.
std::string time_cell(Timestamp time) {
    const std::string full = time_text(time);
    return "<td class=\"word\" data-value=\"" + std::to_string(time) + "\" title=\"" + full + "\">" +
           full.substr(0, 10) + " " + full.substr(11, 5) + "</td>";
}

std::string answer_cell(std::string_view word, std::string_view bad) {
    return cell(word, word == "unknown" ? "word doubt" : word == bad ? "word bad" : "word good");
}

struct Heading {
    const char* title;
    const char* type = "text";  ///< or "number": how its data-value is compared
};

std::string head(const std::vector<Heading>& headings) {
    std::string out = "<thead><tr>";
    for (const Heading& heading : headings) {
        out += std::string("<th scope=\"col\" data-type=\"") + heading.type + "\"><button type=\"button\">" +
               heading.title + "</button></th>";
    }
    return out + "</tr></thead>";
}

// --- The picture

struct Band {
    const char* name;
    const char* css;
};

/// One for each Mode, from the bottom up.
constexpr std::array<Band, 5> bands{{{"clear text", "m-plain"},
                                     {"TLS below 1.2", "m-old"},
                                     {"TLS 1.2", "m-t12"},
                                     {"TLS 1.3", "m-t13"},
                                     {"other", "m-other"}}};

using Stack = std::array<std::uint64_t, bands.size()>;

/// Each day as shares of its connections: what matters is what is left in clear, on a Sunday too.
std::string picture(const ReportSummary& summary) {
    if (summary.days.empty()) return "";
    constexpr double left = 40, top = 10, width = 850, height = 180;
    const std::int64_t first = summary.days.begin()->first;
    const std::int64_t last = summary.days.rbegin()->first;
    const double step = width / static_cast<double>(std::max<std::int64_t>(last - first + 1, 7));
    std::string out =
        "<h2>Modes over time</h2><p class=\"faint\">Share of each day's connections.</p><svg viewBox=\"0 0 900 215\" "
        "role=\"img\" "
        "aria-label=\"Share of connections by mode and day, " +
        day_text(first) + " to " + day_text(last) + "\">";
    for (const int percent : {0, 50, 100}) {
        const std::string y = decimal(top + height * (100 - percent) / 100);
        out += "<line class=\"axis\" x1=\"40\" x2=\"890\" y1=\"" + y + "\" y2=\"" + y + "\"/><text x=\"34\" y=\"" + y +
               "\" text-anchor=\"end\" dominant-baseline=\"middle\">" + std::to_string(percent) + " %</text>";
    }
    for (const auto& [day, by_mode] : summary.days) {
        Stack stack{};
        std::uint64_t total = 0;
        for (const auto& [mode, connections] : by_mode) {
            stack[static_cast<std::size_t>(mode_of(mode))] += connections;
            total += connections;
        }
        double y = top + height;
        for (std::size_t i = 0; i < bands.size() && total > 0; ++i) {
            if (stack[i] == 0) continue;
            const double part = height * static_cast<double>(stack[i]) / static_cast<double>(total);
            y -= part;
            out += std::string("<rect class=\"") + bands[i].css + "\" x=\"" +
                   decimal(left + step * static_cast<double>(day - first)) + "\" y=\"" + decimal(y) + "\" width=\"" +
                   decimal(std::max(step - (step > 4 ? 1 : 0), 0.5)) + "\" height=\"" + decimal(part) + "\"><title>" +
                   day_text(day) + ": " + number(stack[i]) + " of " + number(total) + " in " + bands[i].name +
                   "</title></rect>";
        }
    }
    out += "<text x=\"40\" y=\"207\">" + day_text(first) + "</text>";
    if (last > first) {
        const double x = std::max(left + step * static_cast<double>(last - first + 1), left + 140);
        out += "<text x=\"" + decimal(x) + "\" y=\"207\" text-anchor=\"end\">" + day_text(last) + "</text>";
    }
    out += "</svg><p>";
    for (const Band& band : bands) {
        out += std::string("<span class=\"key\"><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"") +
               band.css + "\" width=\"10\" height=\"10\"/></svg> " + band.name + "</span>";
    }
    return out + "</p>";
}

// --- The parts

std::string tiles(const ReportSummary& s) {
    std::string out = "<div class=\"tiles\">";
    const auto tile = [&](std::uint64_t count, const char* classes, const std::string& meaning) {
        out += std::string("<div class=\"tile\"><b class=\"") + (count > 0 ? classes : "faint") + "\">" +
               number(count) + "</b>" + meaning + "</div>";
    };
    tile(s.clients, "", "clients");
    tile(s.plain, "bad", "in clear text");
    tile(s.tls_not_verifying, "bad", "use TLS, do not verify the server (proven)");
    tile(s.verifying, "good", "verify the server");
    tile(s.unknown, "doubt", "use TLS; not known whether they verify");
    tile(s.breaks_on_force_ssl, "bad",
         "break on rds.force_ssl=1 (" + number(s.breaks_on_force_ssl_unknown) + " not known)");
    tile(s.breaks_on_ca_rotation, "bad",
         "not ready for the CA rotation (" + number(s.breaks_on_ca_rotation_unknown) + " not known)");
    tile(s.weak, "bad", "weak");
    if (s.falls_back > 0) tile(s.falls_back, "bad", "fall back to clear text");
    if (s.never_logged_in > 0) tile(s.never_logged_in, "doubt", "never logged in");
    if (s.bridged > 0) tile(s.bridged, "", "bridged");
    out += "</div>";
    for (const auto& [kind, cost] : s.probes) {
        out += "<p>Probe " + escaped(kind) + ": shown to " + number(cost.shown) + " connections, " +
               number(cost.accepted) + " accepted, " + number(cost.refused) + " lost by it.</p>";
    }
    return out;
}

std::string evidence(const ReportClient& client) {
    const auto& rows = client.row.evidence;
    if (rows.empty()) return "<td class=\"faint\" data-value=\"0\">none</td>";
    std::string out = "<td data-value=\"" + number(rows.size()) + "\"><details><summary>" + number(rows.size()) +
                      "</summary><table><tr><th>seen</th><th>times</th><th>first</th><th>last</th><th>certificate</"
                      "th><th>session</th></tr>";
    for (const EvidenceRow& row : rows) {
        out += "<tr>" +
               cell(row.label + (row.evidence ? "" : " (known to a newer pgairlock only)") +
                    (row.possible ? " (possibly another client's)" : "")) +
               number_cell(row.count) + time_cell(row.first_seen) + time_cell(row.last_seen) + cell(row.certificate) +
               cell(row.session, "word") + "</tr>";
    }
    return out + "</table>" + (client.error.empty() ? "" : "<p>" + escaped(client.error) + "</p>") + "</details></td>";
}

std::string clients(const Report& report) {
    std::string out =
        "<h2>Clients</h2><form id=\"filter\" hidden><label>Show only <input id=\"text\" type=\"search\" "
        "placeholder=\"words\"></label>"
        "<label>Action <select id=\"action\"><option value=\"\">any</option>";
    for (const auto& [action, count] : report.summary.actions) {
        const std::string word(to_string(action));
        out += "<option value=\"" + word + "\">" + word + " (" + number(count) + ")</option>";
    }
    out +=
        "</select></label><output id=\"shown\"></output></form><div class=\"scroll\"><table class=\"sortable\" "
        "id=\"clients\">" +
        head({{"Client"},
              {"Process"},
              {"User"},
              {"Database"},
              {"Application"},
              {"Action", "number"},
              {"sslmode", "number"},
              {"Verifies"},
              {"Breaks on force_ssl"},
              {"Breaks on CA rotation"},
              {"Connections", "number"},
              {"In clear", "number"},
              {"Last seen", "number"},
              {"TLS"},
              {"Upstream"},
              {"Evidence", "number"}}) +
        "<tbody>";
    for (const ReportClient& client : report.clients) {
        const ClientIdentity& who = client.row.who;
        const std::string word(to_string(client.action));
        out += "<tr data-action=\"" + word + "\">" + cell(who.client_addr) + cell(who.client_exe) +
               (client.known ? cell(who.usename) : cell("(not known)", "faint")) + cell(who.datname) +
               cell(who.application_name) + "<td class=\"word\" data-value=\"" +
               std::to_string(static_cast<int>(client.action)) + "\">" + word + "</td>" +
               "<td class=\"word\" data-value=\"" +
               std::to_string(static_cast<int>(client.sslmode.min) * 10 + static_cast<int>(client.sslmode.max)) +
               "\">" + escaped(interval_text(client.sslmode)) + (client.changed ? " (changed)" : "") + "</td>" +
               answer_cell(protocol::to_string(client.verifies), "no") +
               answer_cell(protocol::to_string(client.breaks_on_force_ssl), "yes") +
               answer_cell(protocol::to_string(client.breaks_on_ca_rotation), "yes") +
               number_cell(client.row.connections) + number_cell(client.row.plain) + time_cell(client.row.last_seen) +
               cell(client.row.version, "word") + cell(who.upstream) + evidence(client) + "</tr>\n";
    }
    return out + "</tbody></table></div>";
}

std::string certificates(const Report& report) {
    if (report.upstream_certificates.empty()) return "";
    std::string out =
        "<h2>Certificates of the servers</h2><div class=\"scroll\"><table class=\"sortable\" id=\"certificates\">" +
        head({{"Upstream"},
              {"Address"},
              {"Subject"},
              {"Issuer"},
              {"Anchor"},
              {"Expires", "number"},
              {"First seen", "number"},
              {"Last seen", "number"},
              {"Candidate CA alone"}}) +
        "<tbody>";
    for (const ReportCertificate& certificate : report.upstream_certificates) {
        const UpstreamCertificateRow& row = certificate.row;
        std::string candidate = "not rehearsed";
        if (row.candidate_ok) candidate = *row.candidate_ok ? "suffices" : "does not suffice";
        if (row.candidate_ok && row.candidate_since) candidate += " since " + time_text(*row.candidate_since);
        out += std::string("<tr") + (certificate.current ? "" : " class=\"faint\"") + ">" + cell(row.upstream) +
               cell(row.upstream_addr) + cell(row.subject) + cell(row.issuer) + cell(row.anchor) +
               time_cell(row.not_after) + time_cell(row.first_seen) + time_cell(row.last_seen) +
               cell(certificate.current ? candidate : candidate + "; replaced") + "</tr>\n";
    }
    return out + "</tbody></table></div>";
}

std::string explanations(const Report& report) {
    std::string out =
        "<h2>Words</h2><dl><dt>sslmode</dt><dd>What was seen leaves these modes of libpq open.</dd>"
        "<dt>Verifies</dt><dd>no: would accept an impostor; yes: checks at least the CA.</dd>"
        "<dt>Breaks on force_ssl</dt><dd>Cannot connect any more with rds.force_ssl=1.</dd>"
        "<dt>Breaks on CA rotation</dt><dd>It verifies, and refused the candidate certificate.</dd>";
    for (const auto& [action, count] : report.summary.actions) {
        out += "<dt>" + std::string(to_string(action)) + "</dt><dd>" + escaped(explain(action)) + "</dd>";
    }
    return out + "</dl>";
}

}  // namespace

std::string to_html(const Report& report, Timestamp now) {
    const ReportSummary& s = report.summary;
    std::string out =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
        "http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src "
        "'none'; style-src " +
        source_hash(style) + "; script-src " + source_hash(script) +
        "; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<title>pgairlock: migration report</title>\n<style>";
    out += style;
    out += "</style></head>\n<body><h1>Migration report</h1><p class=\"faint\">Made " + time_text(now) + " from " +
           number(s.connections) + " connections";
    if (s.clients > 0) out += ", seen from " + time_text(s.first_seen) + " to " + time_text(s.last_seen);
    if (report.since) out += "; what was not seen since " + time_text(*report.since) + " is left out";
    out += ".</p>\n" + tiles(s) + "\n" + picture(s) + "\n" + clients(report) + "\n" + certificates(report) + "\n" +
           explanations(report) + "\n<script>";
    out += script;
    return out + "</script></body></html>\n";
}

}  // namespace proxy::report
