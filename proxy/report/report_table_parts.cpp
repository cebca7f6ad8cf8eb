#include "proxy/report/report_table_parts.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/join.hpp>

namespace proxy::report {
namespace {

/// The other formats have them all.
constexpr std::size_t most_names = 5;

/// What stands for the names of one who has none.
std::string nobody(const ReportClient& client, const Fingerprints& fingerprints) {
    const std::string told = fingerprints.of(client);
    return told.empty() ? "(not known)" : "(not known, " + told + ")";
}

/// A client in a sentence.
std::string name(const ReportClient& client, const Fingerprints& fingerprints) {
    if (!client.known) return source(client.row.who, true) + " " + nobody(client, fingerprints);
    const std::string application = printable(client.row.who.application_name);
    return names(client.row.who) + (application.empty() ? "" : " " + application);
}

Cell candidate(const Report& report, const ReportCertificate& certificate) {
    const UpstreamCertificateRow& row = certificate.row;
    if (!certificate.current) return {"replaced " + time_text(row.last_seen).substr(0, 10), dim};
    const std::string proxies = in_the_way(report, certificate.rehearsal);
    const std::string where = proxies.empty() ? "" : " at " + proxies;
    if (!row.candidate_ok) return {"not rehearsed" + where, where.empty() ? dim : yellow};
    const std::string since = row.candidate_since ? " since " + time_text(*row.candidate_since).substr(0, 10) : "";
    return {(*row.candidate_ok ? "suffices" : "fails") + where + since, *row.candidate_ok ? green : red};
}

std::string spaced(const std::string& text) { return text.empty() ? "" : " " + text; }

std::string changes(const Difference& difference) {
    std::string out;
    for (const Change& change : difference.changes)
        out += (out.empty() ? "" : ", ") + change.what + " " + change.from + " -> " + change.to;
    return out;
}

std::string compared(const ComparedClient& client) {
    const ClientIdentity& who = client.who;
    std::string out = source(who, true) + " " + (client.known ? names(who) : "(not known)");
    if (client.failing) out += " (fails)";
    if (client.source == Source::direct) out += " (direct)";
    if (!who.application_name.empty()) out += " " + printable(who.application_name);
    return who.seen_by.empty() ? out : out + " at " + printable(who.seen_by);
}

}  // namespace

std::string short_number(std::uint64_t number) {
    if (number < 10'000) return std::to_string(number);
    constexpr std::array<std::pair<std::uint64_t, const char*>, 4> units{
        {{1'000'000'000'000, "T"}, {1'000'000'000, "G"}, {1'000'000, "M"}, {1'000, "k"}}};
    for (const auto& [unit, suffix] : units) {
        if (number < unit) continue;
        const std::uint64_t tenths = number / (unit / 10);
        return tenths >= 1000 ? std::to_string(tenths / 10) + suffix
                              : std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + suffix;
    }
    return {};
}

std::string source(const ClientIdentity& who, bool with_user) {
    std::string out = who.client_addr.empty() ? "local" : printable(who.client_addr);
    if (!who.client_exe.empty()) out += " " + printable(who.client_exe.substr(who.client_exe.rfind('/') + 1));
    if (who.client_uid >= 0 && (with_user || who.client_exe.empty())) out += " uid " + std::to_string(who.client_uid);
    return out;
}

std::string names(const ClientIdentity& who) { return printable(who.usename) + "@" + printable(who.datname); }

Cell names(const ReportClient& client, const Fingerprints& fingerprints) {
    if (!client.known) return {nobody(client, fingerprints), dim};
    return {names(client.row.who)};
}

bool has_possible(const ReportClient& client) {
    return std::any_of(client.row.evidence.begin(), client.row.evidence.end(),
                       [](const EvidenceRow& row) { return row.possible; });
}

bool has_unreadable(const ReportClient& client) {
    return std::any_of(client.row.evidence.begin(), client.row.evidence.end(),
                       [](const EvidenceRow& row) { return !row.evidence && !row.possible; });
}

std::string failures_of_several(const Report& report, const Layout& layout) {
    std::string out;
    for (const Unattributed& one : report.unattributed) {
        out += paragraph(plural(one.count, "failed handshake") + " of " + source({one.from, {}}, true) + " " +
                             whose(one, most_names),
                         0, 2, layout);
    }
    return out;
}

std::string what_people_said(const Report& report, const Layout& layout) {
    std::string out;
    const Fingerprints fingerprints(report);
    for (const ReportClient& client : report.clients) {
        const std::vector<std::string> said = decisions(client);
        if (said.empty()) continue;
        out += paragraph(
            source(client.row.who, true) + " " + name(client, fingerprints) + ": " + boost::algorithm::join(said, "; "),
            0, 2, layout);
    }
    return out;
}

std::string not_probed(const Report& report, const Layout& layout) {
    std::map<std::string, std::vector<std::string>> by_reason;
    const Fingerprints fingerprints(report);
    for (const ReportClient& client : report.clients) {
        if (client.action == Action::probe && !client.row.not_probed.empty())
            by_reason[printable(client.row.not_probed)].push_back(name(client, fingerprints));
    }
    std::string out;
    for (const auto& [reason, clients] : by_reason)
        out += paragraph("not probed: " + reason + ": " + enumerated(clients, most_names), 0, 2, layout);
    return out;
}

std::string inferred_fallbacks(const Report& report, const Layout& layout) {
    std::vector<std::string> names;
    const Fingerprints fingerprints(report);
    for (const ReportClient& client : report.clients) {
        if (client.perhaps_anothers_fallback) names.push_back(name(client, fingerprints));
    }
    if (names.empty()) return "";
    return paragraph("falls back, unless who failed with TLS before was another client at its address: " +
                         enumerated(names, most_names),
                     0, 2, layout);
}

std::string behind_fronts(const Report& report, const Layout& layout) {
    std::map<std::string, std::vector<std::string>> by_words;
    const Fingerprints fingerprints(report);
    for (const ReportClient& client : report.clients) {
        if (const std::string_view words = at_the_front(client); !words.empty())
            by_words[std::string(words)].push_back(name(client, fingerprints));
    }
    std::string out;
    for (const auto& [words, clients] : by_words)
        out += paragraph(words + ": " + enumerated(clients, most_names), 0, 2, layout);
    return out;
}

std::string last_failures(const Report& report, const Layout& layout) {
    std::map<std::string, std::vector<const ReportClient*>> by_reason;
    for (const ReportClient& client : report.clients) {
        if (!client.last_failed) continue;
        LastFailure reason = *client.last_failed;
        reason.session.clear();  // each has its own
        by_reason[failure_text(reason)].push_back(&client);
    }
    std::string out;
    const Fingerprints fingerprints(report);
    for (const auto& [reason, clients] : by_reason) {
        std::vector<std::string> names;
        for (const ReportClient* client : clients) names.push_back(name(*client, fingerprints));
        // Of one there is room to say where to look.
        const std::string why = clients.size() == 1 ? failure_text(*clients.front()->last_failed) : reason;
        out += paragraph("failed last: " + why + ": " + enumerated(names, most_names), 0, 2, layout);
    }
    return out;
}

std::string comparison(const Report& report, const Layout& layout) {
    if (!report.against) return "";
    const Comparison& against = *report.against;
    std::string out = coloured("Since the report until " + time_text(against.until), bold, layout) + "\n";
    for (const std::string& caveat : against.caveats)
        out += coloured(paragraph(printable(caveat), 0, 2, layout), yellow, layout);
    const auto list = [&](const char* title, const std::vector<Difference>& differences, const char* colour) {
        out += coloured(title, differences.empty() ? nullptr : colour, layout) + " " +
               std::to_string(differences.size()) + "\n";
        for (const Difference& difference : differences) {
            const std::string what =
                difference.changes.empty() ? std::string(to_string(difference.client.state)) : changes(difference);
            out += "  " + paragraph(compared(difference.client) + ": " + what, 2, 4, layout);
        }
    };
    list("new", against.fresh, yellow);
    list("worse", against.worse, red);
    list("better", against.better, green);
    list("gone", against.gone, nullptr);
    return out;
}

std::string certificates(const Report& report, const TableOptions& options) {
    if (report.upstream_certificates.empty()) return "";
    std::vector<std::string> authorities;
    for (const ReportCertificate& certificate : report.upstream_certificates) {
        authorities.push_back(certificate.row.issuer);
        authorities.push_back(certificate.row.anchor);
    }
    const auto called = short_names(authorities);
    const AnchorKeys keys(report);
    Grid grid{.columns = {{.title = "UPSTREAM", .shrinks = true},
                          {.title = "ADDRESS", .shrinks = true},
                          {.title = "ISSUER", .shrinks = true, .distinct = true},
                          {.title = "ANCHOR", .shrinks = true, .distinct = true},
                          {.title = "EXPIRES"},
                          {.title = "FIRST SEEN"},
                          {.title = "CANDIDATE"}}};
    for (const ReportCertificate& certificate : report.upstream_certificates) {
        const UpstreamCertificateRow& row = certificate.row;
        std::vector<Cell> cells{
            {printable(row.upstream)},
            {printable(row.upstream_addr)},
            {printable(called.at(row.issuer))},
            {printable(called.at(row.anchor) + spaced(keys.of(row)))},
            {end_text(certificate, options.now), row.not_after <= options.now && certificate.current ? red : nullptr},
            {time_text(row.first_seen).substr(0, 10)},
            candidate(report, certificate)};
        if (!certificate.current) {
            for (Cell& cell : cells) cell.colour = dim;
        }
        grid.rows.push_back(std::move(cells));
    }
    return to_text(grid, {.colours = options.colours, .width = options.width});
}

std::string explanations(const Report& report, const Layout& layout) {
    std::string out;
    const auto line = [&](std::string word, std::string_view meaning) {
        constexpr std::size_t indent = 24;
        word.resize(indent - 2, ' ');
        out += "  " + word + paragraph(meaning, indent, indent, layout);
    };
    line("SSLMODE", "what was seen leaves these libpq modes open; docs/verification.md");
    line("VERIFIES", "no: would accept an impostor; yes: checks the CA at least; ?: not known");
    line("BREAKS ON: force_ssl", "or ssl; yes: cannot connect any more with rds.force_ssl=1");
    line("BREAKS ON: rotation", "or CA; yes: verifies, and refused the candidate certificate");
    const auto any = [&](auto&& test) { return std::any_of(report.clients.begin(), report.clients.end(), test); };
    if (any([](const ReportClient& c) { return c.failures() > 0; }))
        line("FAILED", "logins and handshakes that failed; in red: it never succeeded, or no longer does");
    if (any([](const ReportClient& c) { return c.mixed; }))
        line("... in clear, mixed", "two programs or settings share this name, or it was changed not long ago");
    if (any([](const ReportClient& c) { return c.changed_at > 0; }))
        line("*", "was seen otherwise for long, so older evidence that contradicts it was left out");
    if (any(has_possible))
        line("~", "failed handshakes of this client, of another, or of one that never logged in; they count for none");
    if (any(has_unreadable))
        line("!", "a newer pgairlock saw what this one cannot weigh, so older good news do not count: use the newer");
    if (any([](const ReportClient& c) { return c.source == Source::direct; }))
        line("direct", "came through no proxy: listed by a server. CONNS are different sessions that a look found");
    if (any([](const ReportClient& c) { return !c.known; }))
        line("(not known)", "only handshakes that failed, which name nobody: a client that never logged in");
    for (int i = 0; i < action_count; ++i) {
        const auto action = static_cast<Action>(i);
        const bool is_there = any([&](const ReportClient& c) { return c.action == action || c.also == action; });
        if (is_there) line(std::string(to_string(action)), explain(action));
    }
    return out;
}

}  // namespace proxy::report
