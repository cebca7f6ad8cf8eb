#include "proxy/dashboard/findings.hpp"

#include <algorithm>
#include <set>

#include "proxy/dashboard/certificates_json.hpp"

namespace proxy::dashboard {
namespace {

constexpr const char* no_inventory = "there is no inventory: audit.inventory is off";

/// What becomes a row of a text: clients, those that servers list, those that are known by failed
/// handshakes alone, and
/// certificates of servers, of which one may have a new one for each connection.
std::size_t shown_in(const std::vector<InventoryRows>& rows) {
    std::size_t shown = 0;
    for (const InventoryRows& one : rows) {
        std::set<ClientOrigin> known, unknown;
        for (const ClientRow& client : one.clients) known.insert(client.who);
        for (const HandshakeRow& handshake : one.handshakes) {
            if (!known.contains(handshake.from)) unknown.insert(handshake.from);
        }
        shown += one.clients.size() + one.sampled_sessions.size() + unknown.size() + one.upstream_certificates.size();
    }
    return shown;
}

/// The figures and the clients are of two reports, which may say the same.
void tell_once(std::vector<std::string>& sentences, const std::string& one) {
    if (std::find(sentences.begin(), sentences.end(), one) == sentences.end()) sentences.push_back(one);
}

/// Of the same days as the figures: somebody who is in none of them may be unable to connect.
void tell_unexplained(Findings& next) {
    if (!next.week || next.week->summary.unattributed_failures == 0) return;
    const report::ReportSummary& week = next.week->summary;
    std::string said = std::to_string(week.unattributed_failures) + " " + report::unexplained(week);
    if (week.unattributed_refused > 0) said += "; give it the CA of that certificate (ca.crt, or that of cert_file)";
    tell_once(next.unknown, said + "; the end of Clients says whose they may be");
}

}  // namespace

void replace(Versioned& old, const std::string& object, SystemTime when) {
    const bool is_same = old.text && std::string_view(*old.text).ends_with(std::string_view(object).substr(1));
    if (!is_same) ++old.version;
    old.text = generated(when, object);
}

Findings FindingsMaker::none() const {
    Findings nothing;
    nothing.why_none = settings_.has_inventory ? "not counted yet" : no_inventory;
    nothing.unknown.push_back("clients: " + nothing.why_none);
    return nothing;
}

Findings FindingsMaker::make(const Findings& before, const InventoryPlaces::Reading& reading, bool texts,
                             SystemTime now) {
    Findings next = before;
    const std::size_t rows = shown_in(reading.rows);
    is_crowded_ = rows > settings_.max_rows;
    next.current = reading.unread.empty() && reading.known && !is_crowded_;
    next.warnings = reading.known ? std::vector<Warning>{} : of_report_;
    next.unknown = reading.unread;
    if (!reading.unread.empty()) {
        next.warnings.insert(
            next.warnings.begin(),
            {.critical = true, .what = "inventory_unread", .text = reading.unread.front(), .since = {}});
    }
    if (is_crowded_) {
        leave_out(next, rows);
    } else if (reading.known) {
        count(next, reading, now);
        if (texts) show(next, reading, now);
    } else {
        tell_unexplained(next);
        tell_nothing(next, reading);
        if (texts) certify(next, nullptr, now);
    }
    return next;
}

void FindingsMaker::tell_nothing(Findings& next, const InventoryPlaces::Reading& reading) const {
    if (next.why_none.empty() && !next.clients.text) next.why_none = "not counted yet";
    if (next.why_none.empty()) return;
    next.why_none = settings_.has_inventory ? "the inventory cannot be read: " + reading.unread.front() : no_inventory;
    next.unknown.push_back("clients: " + next.why_none);
}

void FindingsMaker::leave_out(Findings& next, std::size_t rows) const {
    next.why_none = std::to_string(rows) + " clients and certificates of servers are too many to show here (" +
                    std::to_string(settings_.max_rows) + " at most): use pgairlock report";
    next.unknown.push_back("clients: " + next.why_none);
    next.week.reset();
    next.clients.text = next.certificates.text = next.rotation.text = nullptr;
}

/// The report of the week alone, which is gone before another one is made.
void FindingsMaker::count(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now) {
    const Timestamp until = to_timestamp(reading.oldest);
    const report::Report report = report::make_report(reading.rows, {.since = until - Week::length, .now = until});
    next.week = week_of(report, until);
    if (!next.clients.text) next.why_none = "not counted yet";
    take(next, report, now);
}

void FindingsMaker::show(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now) {
    // How long a proxy has been silent is not known beyond the last reading.
    const SystemTime told = reading.unread.empty() ? now : reading.oldest;
    report::Report report = report::make_report(reading.rows, {.now = to_timestamp(told)});
    if (settings_.running) shows_no_more(report, settings_.running->outages());
    // What is not known of the week is said of its figures, also where of all the time it is next
    // to nothing.
    next.warnings.erase(next.warnings.end() - static_cast<std::ptrdiff_t>(of_report_.size()), next.warnings.end());
    take(next, report, now);
    const OpenSessions open = settings_.running ? settings_.running->sessions() : OpenSessions{};
    replace(next.clients, clients_text(report, settings_.running ? &open : nullptr, to_timestamp(reading.oldest)),
            reading.oldest);
    next.why_none.clear();
    certify(next, &report, now);
}

void FindingsMaker::certify(Findings& next, const report::Report* report, SystemTime now) const {
    const auto snapshot = settings_.running ? settings_.running->snapshot() : nullptr;
    replace(next.certificates, serialized(certificates_object(report, snapshot.get(), now)), now);
}

void FindingsMaker::take(Findings& next, const report::Report& report, SystemTime now) {
    next.proxies = proxies_array(report);
    tell_unexplained(next);
    for (const std::string& one : report.summary.incomplete) tell_once(next.unknown, one);
    const auto snapshot = settings_.running ? settings_.running->snapshot() : nullptr;
    of_report_ = warnings_of(report, now, snapshot ? snapshot->config.audit.expiry_warning : expiring);
    if (next.week) warn_of_direct(of_report_, next.week->summary);
    next.warnings.insert(next.warnings.end(), of_report_.begin(), of_report_.end());
}

}  // namespace proxy::dashboard
