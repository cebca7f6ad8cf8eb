#include "proxy/report/report_html_parts.hpp"

namespace proxy::report::html {
namespace {

std::string candidate(const Report& report, const ReportCertificate& certificate) {
    const UpstreamCertificateRow& row = certificate.row;
    std::string text = "not rehearsed";
    if (row.candidate_ok) text = *row.candidate_ok ? "suffices" : "does not suffice";
    const std::string proxies = in_the_way(report, certificate.rehearsal);
    if (!proxies.empty()) text += " at " + proxies;
    if (row.candidate_ok && row.candidate_since) text += " since " + time_text(*row.candidate_since);
    return certificate.current ? text : text + "; replaced";
}

/// Its CN; all of it where it is pointed at.
std::string authority_cell(const std::string& subject, const std::map<std::string, std::string>& called,
                           const std::string& key = {}) {
    return "<td title=\"" + escaped(subject) + "\">" + escaped(called.at(subject)) +
           (key.empty() ? "" : "<small>" + escaped(key) + "</small>") + "</td>";
}

std::string changes(const Difference& difference) {
    std::string out;
    for (const Change& change : difference.changes)
        out += (out.empty() ? "" : ", ") + change.what + " " + change.from + " → " + change.to;
    return out;
}

}  // namespace

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

std::string cell(std::string_view text, std::string_view classes) {
    return (classes.empty() ? "<td>" : "<td class=\"" + std::string(classes) + "\">") + escaped(text) + "</td>";
}

std::string number_cell(std::uint64_t value) {
    return "<td class=\"number\" data-value=\"" + number(value) + "\">" + number(value) + "</td>";
}

std::string time_cell(Timestamp time) {
    const std::string full = time_text(time);
    return "<td class=\"word\" data-value=\"" + std::to_string(time) + "\" title=\"" + full + "\">" +
           full.substr(0, 10) + " " + full.substr(11, 5) + "</td>";
}

std::string answer_cell(std::string_view word, std::string_view bad) {
    return cell(word, word == "unknown" ? "word doubt" : word == bad ? "word bad" : "word good");
}

std::string head(const std::vector<Heading>& headings) {
    std::string out = "<thead><tr>";
    for (const Heading& heading : headings) {
        out += std::string("<th scope=\"col\" data-type=\"") + heading.type + "\"><button type=\"button\">" +
               heading.title + "</button></th>";
    }
    return out + "</tr></thead>";
}

std::string comparison(const Report& report) {
    if (!report.against) return "";
    const Comparison& against = *report.against;
    std::string out = "<h2>Since the report until " + time_text(against.until) + "</h2>";
    for (const std::string& caveat : against.caveats) out += "<p class=\"doubt\">" + escaped(caveat) + "</p>";
    const auto count = [](const char* what, const std::vector<Difference>& all) {
        return std::string(what) + " " + number(all.size());
    };
    out += "<p>" + count("new", against.fresh) + ", " + count("worse", against.worse) + ", " +
           count("better", against.better) + ", " + count("gone", against.gone) +
           "</p><div class=\"scroll\"><table class=\"sortable\" id=\"against\">" +
           head({{"Since then"},
                 {"Client"},
                 {"User"},
                 {"Database"},
                 {"Application"},
                 {"Upstream"},
                 {"Proxy"},
                 {"State"},
                 {"What changed"}}) +
           "<tbody>";
    const auto rows = [&](const char* what, const char* classes, const std::vector<Difference>& all) {
        for (const Difference& difference : all) {
            const ClientIdentity& who = difference.client.who;
            const std::string user = who.client_uid < 0 ? "" : " uid " + std::to_string(who.client_uid);
            out += "<tr>" + cell(what, classes) +
                   cell((who.client_addr.empty() ? "local" : who.client_addr) + " " + who.client_exe + user +
                        (difference.client.source == Source::direct ? " (direct)" : "")) +
                   (difference.client.known ? cell(who.usename) : cell("(not known)", "faint")) + cell(who.datname) +
                   cell(who.application_name) + cell(who.upstream) + cell(who.seen_by) +
                   cell(to_string(difference.client.state), "word") + cell(changes(difference)) + "</tr>\n";
        }
    };
    rows("new", "word doubt", against.fresh);
    rows("worse", "word bad", against.worse);
    rows("better", "word good", against.better);
    rows("gone", "word", against.gone);
    return out + "</tbody></table></div>\n";
}

std::string certificates(const Report& report) {
    if (report.upstream_certificates.empty()) return "";
    std::vector<std::string> authorities;
    for (const ReportCertificate& certificate : report.upstream_certificates) {
        authorities.push_back(certificate.row.issuer);
        authorities.push_back(certificate.row.anchor);
    }
    const auto called = short_names(authorities);
    const AnchorKeys keys(report);
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
        out += std::string("<tr") + (certificate.current ? "" : " class=\"faint\"") + ">" + cell(row.upstream) +
               cell(row.upstream_addr) + cell(row.subject) + authority_cell(row.issuer, called) +
               authority_cell(row.anchor, called, keys.of(row)) + time_cell(row.not_after) + time_cell(row.first_seen) +
               time_cell(row.last_seen) + cell(candidate(report, certificate)) + "</tr>\n";
    }
    return out + "</tbody></table></div>\n";
}

}  // namespace proxy::report::html
