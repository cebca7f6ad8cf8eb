// What the report's formats have in common: words, times, harmless text.
#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <boost/range/iterator_range.hpp>
#include <chrono>
#include <set>

#include "proxy/report/report.hpp"
#include "tls/certificates.hpp"

namespace proxy::report {

std::string_view to_string(Dimension dimension) noexcept {
    switch (dimension) {
        case Dimension::upstream: return "upstream";
        case Dimension::proxy: return "proxy";
        case Dimension::client: return "client";
        case Dimension::user: return "user";
        case Dimension::database: return "database";
        case Dimension::application: return "application";
    }
    return "";
}

std::optional<Dimension> parse_dimension(std::string_view text) noexcept {
    using enum Dimension;
    for (const Dimension dimension : {upstream, proxy, client, user, database, application}) {
        if (to_string(dimension) == text) return dimension;
    }
    return std::nullopt;
}

std::string_view to_string(FailOn what) noexcept {
    switch (what) {
        case FailOn::weak: return "weak";
        case FailOn::unknown: return "unknown";
        case FailOn::rotation: return "rotation";
        case FailOn::force_ssl: return "force_ssl";
        case FailOn::fallback: return "fallback";
        case FailOn::failing: return "failing";
        case FailOn::direct: return "direct";
        case FailOn::silent: return "silent";
        case FailOn::expiring: return "expiring";
        case FailOn::incomplete: return "incomplete";
    }
    return "";
}

std::optional<FailOn> parse_fail_on(std::string_view text) noexcept {
    using enum FailOn;
    for (const FailOn what :
         {weak, unknown, rotation, force_ssl, fallback, failing, direct, silent, expiring, incomplete}) {
        if (to_string(what) == text) return what;
    }
    return std::nullopt;
}

std::string_view to_string(Action action) noexcept {
    switch (action) {
        case Action::enable_tls: return "enable TLS";
        case Action::trust_our_ca: return "trust our CA";
        case Action::repair_fallback: return "repair fallback";
        case Action::split: return "split";
        case Action::fix_root_certificate: return "fix root certificate";
        case Action::fix_tls: return "fix TLS";
        case Action::offer_tls: return "offer TLS";
        case Action::fix_login: return "fix login";
        case Action::let_in: return "let in";
        case Action::reach_the_server: return "reach the server";
        case Action::relieve_the_proxy: return "relieve the proxy";
        case Action::ask_its_owner: return "ask its owner";
        case Action::update_trust_store: return "update trust store";
        case Action::verify_the_server: return "verify the server";
        case Action::upgrade_tls: return "upgrade TLS";
        case Action::go_through_us: return "go through the proxy";
        case Action::probe: return "probe";
        case Action::none: return "none";
    }
    return "";
}

std::string_view to_string(Source source) noexcept {
    switch (source) {
        case Source::seen: return "seen";
        case Source::direct: return "direct";
    }
    return "";
}

std::string_view to_string(State state) noexcept {
    switch (state) {
        case State::in_clear: return "in clear";
        case State::falls_back: return "falls back";
        case State::mixed: return "mixed";
        case State::not_verifying: return "not verifying";
        case State::unknown: return "unknown";
        case State::verifying: return "verifying";
    }
    return "";
}

std::optional<State> parse_state(std::string_view text) noexcept {
    using enum State;
    for (const State state : {in_clear, falls_back, mixed, not_verifying, unknown, verifying}) {
        if (to_string(state) == text) return state;
    }
    return std::nullopt;
}

State state_of(const ReportClient& client) {
    if (client.falls_back) return State::falls_back;
    if (client.mixed) return State::mixed;
    if (client.plain) return State::in_clear;
    switch (client.verifies) {
        case protocol::Verifies::no: return State::not_verifying;
        case protocol::Verifies::yes: return State::verifying;
        case protocol::Verifies::unknown: break;
    }
    return State::unknown;
}

Mode mode_of(std::string_view text) noexcept {
    if (text == "plain") return Mode::clear;
    if (text == "SSLv3" || text == "TLSv1" || text == "TLSv1.1") return Mode::old_tls;
    if (text == "TLSv1.2") return Mode::tls12;
    return text == "TLSv1.3" ? Mode::tls13 : Mode::other;
}

std::string_view explain(Action action) noexcept {
    switch (action) {
        case Action::enable_tls:
            return "connects in clear text: set sslmode=verify-full with a root certificate, or at least require";
        case Action::trust_our_ca:
            return "refuses our certificate, goes on in clear text, perhaps only here: give it the CA of cert_file";
        case Action::split:
            return "in clear and with TLS: two programs or settings share a name; see process, uid, application";
        case Action::repair_fallback:
            return "sslmode=prefer: goes on in clear text when TLS or the login over it fails; set verify-full";
        case Action::fix_root_certificate:
            return "fails today: has no root certificate, or one that does not know the certificate it is shown";
        case Action::fix_tls:
            return "fails today: no TLS version or cipher in common, or its own certificate is missing or refused";
        case Action::offer_tls:
            return "insists on TLS, and its listener has none: give the listener a certificate ([listener.tls] mode)";
        case Action::fix_login:
            return "fails today: its logins are refused or given up: see to its password, user, database and "
                   "pg_hba.conf";
        case Action::let_in:
            return "fails today: refused by this proxy (its address, TLS or a certificate required, a limit, not in "
                   "time), or not answered";
        case Action::reach_the_server:
            return "fails today, by no fault of its own: no server of the kind it wants serves, or none has room, or "
                   "its "
                   "certificate is refused";
        case Action::relieve_the_proxy:
            return "fails today, by no fault of its own: this proxy could not go on (memory, too many at once) or was "
                   "stopped";
        case Action::ask_its_owner:
            return "leaves without a word at the certificate, which it may refuse: only its own log says why";
        case Action::update_trust_store:
            return "verifies, and refused the candidate: give it the new CA before the rotation";
        case Action::verify_the_server:
            return "uses TLS but would accept an impostor: set sslmode=verify-full with a root certificate";
        case Action::upgrade_tls: return "TLS below 1.2 or a weak cipher: update its TLS library";
        case Action::go_through_us:
            return "goes to the server around every proxy, so what it verifies cannot be seen: let it come through "
                   "pgairlock, or ask its owner";
        case Action::probe:
            return "what it verifies, or whether it accepts the candidate, is not known: probe it, or ask its owner";
        case Action::none: return "nothing to do";
    }
    return "";
}

namespace {

bool was_seen(const ReportClient& client, protocol::Evidence evidence) {
    return std::any_of(client.row.evidence.begin(), client.row.evidence.end(),
                       [&](const EvidenceRow& row) { return row.evidence == evidence; });
}

}  // namespace

std::string_view at_the_front(const ReportClient& client) {
    if (was_seen(client, protocol::Evidence::tls_at_front))
        return "TLS ends at the load balancer in front, which says so: what is verified there is not known";
    if (was_seen(client, protocol::Evidence::tls_perhaps_of_front))
        return "the load balancer in front saw no TLS: what came may be the load balancer's own";
    return "";
}

std::string explain(const ReportClient& client) {
    std::string out(explain(client.action));
    if (client.perhaps_anothers_fallback)
        out += "; that it falls back is inferred: who failed with TLS before it may be another client at its address";
    if (client.also) out += "; and " + std::string(to_string(*client.also)) + ": " + std::string(explain(*client.also));
    if (const std::string_view front = at_the_front(client); !front.empty()) out += "; " + std::string(front);
    if (!client.last_failed) return out;
    out += "; it failed last";
    if (client.last_failed->time > 0) out += " at " + time_text(client.last_failed->time);
    return out + ": " + failure_text(*client.last_failed);
}

std::string failure_text(const LastFailure& failure) {
    std::string out = failure.what;
    if (!failure.error.empty()) out += ": " + failure.error;
    if (failure.error.empty() && !failure.session.empty()) out += ", session " + failure.session + " of the audit";
    return printable(out);
}

std::string time_text(Timestamp time) {
    return tls::to_rfc3339(std::chrono::system_clock::time_point(std::chrono::microseconds(time)));
}

std::string day_text(std::int64_t day) { return time_text(day * day_length).substr(0, 10); }

std::string duration_text(Timestamp duration) {
    const std::int64_t minutes = duration / 60'000'000;
    const auto of = [](std::int64_t count, std::string_view unit) {
        return plural(static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)), unit);
    };
    if (minutes < 120) return of(minutes, "minute");
    if (minutes < 48 * 60) return of(minutes / 60, "hour");
    return of(minutes / (24 * 60), "day");
}

std::string plural(std::uint64_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string proxies_text(const Report& report) {
    const auto looking = std::count_if(report.proxies.begin(), report.proxies.end(),
                                       [](const ReportProxy& proxy) { return proxy.only_looks; });
    const auto samplers = static_cast<std::uint64_t>(looking);
    const std::uint64_t proxies = report.proxies.size() - samplers;
    if (samplers == 0) return proxies == 1 ? "1 proxy" : std::to_string(proxies) + " proxies";
    const std::string only = "what " + plural(samplers, "run") + " of pgairlock sample saw";
    if (proxies == 0) return "no proxy: " + only;
    return (proxies == 1 ? "1 proxy" : std::to_string(proxies) + " proxies") + ", " + only;
}

std::vector<std::string> proxies_of(const Report& report, const ReportClient& client) {
    std::vector<std::string> out;
    for (const ReportProxy& proxy : report.proxies) {
        if (client.row.proxies.contains(proxy.row.id)) out.push_back(proxy.name);
    }
    return out;
}

std::string enumerated(const std::vector<std::string>& names, std::size_t most) {
    const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most));
    std::string out = boost::algorithm::join(boost::make_iterator_range(names.begin(), end), ", ");
    if (names.size() > most) out += " and " + plural(names.size() - most, "other");
    return out;
}

std::string in_the_way(const Report& report, const Rehearsal& rehearsal) {
    if (report.proxies.size() < 2) return "";
    const std::set<std::string>& names = rehearsal.refused_by.empty() ? rehearsal.not_judged_by : rehearsal.refused_by;
    return printable(enumerated({names.begin(), names.end()}, 2));
}

std::string unexplained(const ReportSummary& s) {
    std::string out = s.unattributed_failures == 1 ? "handshake failed that no row explains"
                                                   : "handshakes failed that no row explains";
    if (s.unattributed_refused > 0)
        out += ", " + std::to_string(s.unattributed_refused) + " of them at our certificate: a client may never log in";
    return out;
}

std::string whose(const Unattributed& one, std::size_t most) {
    std::string refused;
    if (one.refused > 0)
        refused = "; " + std::to_string(one.refused) +
                  " refused our certificate or left at it: its CA (ca.crt, or that of cert_file) belongs in the trust "
                  "store of that client";
    if (one.candidates.empty())
        return "name nobody, and may be those of any client that is asked for, or of one that never logged in" +
               refused;
    std::vector<std::string> candidates;
    std::set<std::string> told;
    for (const ClientIdentity& who : one.candidates) {
        const std::string& application = who.application_name;
        std::string called =
            printable(who.usename + "@" + who.datname + (application.empty() ? "" : " " + application));
        // Programs that differ, or users of the operating system.
        if (told.insert(called).second) candidates.push_back(std::move(called));
    }
    return "may be those of " + enumerated(candidates, most) + ", or of a client that never logged in" + refused;
}

Fingerprints::Fingerprints(const Report& report) {
    for (const ReportClient& client : report.clients) {
        if (!client.known) ++rows_[client.row.who];
    }
}

std::string Fingerprints::of(const ReportClient& client) const {
    const auto found = client.known ? rows_.end() : rows_.find(client.row.who);
    if (found == rows_.end() || found->second < 2) return "";
    if (client.row.ja4.empty()) return "no ClientHello";
    return "JA4 " + printable(boost::algorithm::join(client.row.ja4, " "));
}

std::vector<std::string> decisions(const ReportClient& client) {
    std::vector<std::string> out;
    if (!client.note.empty()) out.push_back(printable(client.note));
    if (client.repaired_at > 0)
        out.push_back("repaired " + time_text(client.repaired_at) + ", so what was seen until then does not count");
    if (!client.accepted || client.excused) return out;
    const Acceptance& accepted = *client.accepted;
    const std::string by = accepted.owner.empty() ? "" : " by " + printable(accepted.owner);
    out.push_back("was accepted" + by +
                  (accepted.worse.empty() ? " until " + time_text(accepted.until).substr(0, 10) + ", which is over"
                                          : ", and is worse since: " + joined_words(accepted.worse)));
    return out;
}

std::vector<std::pair<std::string, std::string>> restrictions(const ReportFilter& filter) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](const char* option, const std::string& value) {
        if (!value.empty()) out.emplace_back(option, value);
    };
    add("user", filter.usename);
    add("database", filter.datname);
    add("application", filter.application_name);
    add("client", filter.client_addr);
    add("upstream", filter.upstream);
    add("proxy", filter.proxy);
    std::string dimensions;
    for (const Dimension dimension : filter.group_by)
        dimensions += (dimensions.empty() ? "" : ",") + std::string(to_string(dimension));
    add("group-by", dimensions);
    return out;
}

std::string interval_text(protocol::SslModeInterval interval) {
    using protocol::SslMode;
    const std::string min(protocol::to_string(interval.min));
    const std::string max(protocol::to_string(interval.max));
    if (interval.min == interval.max) return min;
    if (interval.min == SslMode::disable && interval.max == SslMode::verify_full) return "unknown";
    if (interval.min == SslMode::disable) return "<= " + max;
    if (interval.max == SslMode::verify_full) return ">= " + min;
    return min + ".." + max;
}

}  // namespace proxy::report
