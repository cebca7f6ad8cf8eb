#include "proxy/transcript/conclude.hpp"

#include <algorithm>
#include <charconv>

#include "proxy/transcript/failure_words.hpp"
#include "proxy/transcript/reading.hpp"

namespace proxy::transcript {
namespace {

using OpeningKind = protocol::CapturedOpening::Kind;
using LoginOutcome = protocol::CapturedLogin::Outcome;

/// What the audit does not say, because its event is not in the capture.
std::optional<SessionFailure> failure_in_packets(const ReadSession& session) {
    if (session.login.error) {
        SessionFailure failure{.event = "auth_failed",
                               .reason = {},
                               .sqlstate = session.login.error->sqlstate,
                               .words = {},
                               .detail = session.login.error->message,
                               .time = session.login.time};
        failure.words = in_words(failure, {});
        return failure;
    }
    const bool only_tls = session.opening.kind == OpeningKind::encrypted && session.over;
    if (only_tls) {
        return SessionFailure{.event = "tls_failed",
                              .reason = {},
                              .sqlstate = {},
                              .words = "the TLS handshake did not lead to a session",
                              .detail = {},
                              .time = session.ended};
    }
    const bool no_login = session.opening.kind == OpeningKind::session && session.opening.startup && session.over &&
                          session.login.outcome == LoginOutcome::none && session.missing_server == 0;
    if (!no_login) return std::nullopt;
    const bool has_asked = session.login.asked && !session.login.answered;
    return SessionFailure{.event = "auth_failed",
                          .reason = {},
                          .sqlstate = {},
                          .words = has_asked ? "the client left when it was asked for a password or token"
                                             : "the connection ended during the login",
                          .detail = {},
                          .time = session.ended};
}

}  // namespace

void take_transcript(ReadSession& session, protocol::Transcript& transcript) {
    transcript.end();
    const auto& opening = transcript.opening();
    const bool told = opening.kind != OpeningKind::unknown;
    const bool only_records = opening.kind == OpeningKind::encrypted;
    // Raw records are beside what they hold, and in the middle of them nothing says so.
    const bool was_less =
        session.opening.kind == OpeningKind::established && transcript.unreadable() < session.unreadable;
    const bool says_more =
        session.opening.kind == OpeningKind::unknown || session.opening.kind == OpeningKind::encrypted || was_less;
    session.over = session.over || transcript.how_it_ended().closed_by.has_value();
    if (!told || !says_more) return;
    if (!only_records) {
        session.missing_client = transcript.missing(protocol::CapturedSide::client);
        session.missing_server = transcript.missing(protocol::CapturedSide::server);
    }
    session.opening = opening;
    session.login = transcript.login();
    session.end = transcript.how_it_ended();
    session.farewell = transcript.farewell();
    session.unreadable = transcript.unreadable();
    session.rest_unreadable = !only_records && (transcript.lost(protocol::CapturedSide::client) ||
                                                transcript.lost(protocol::CapturedSide::server));
    session.in_the_middle = session.in_the_middle || opening.kind == OpeningKind::established;
}

void conclude(ReadSession& session) {
    SessionFacts& facts = session.facts;
    if (const auto& startup = session.opening.startup) {
        const auto take = [](std::string& into, std::string_view from) {
            if (into.empty()) into = from.substr(0, 63);  // as PostgreSQL cuts names
        };
        take(facts.user, startup->find("user"));
        take(facts.database, startup->database());
        take(facts.application_name, startup->find("application_name"));
    }
    if (!session.login.method.empty() && facts.auth_method.empty()) facts.auth_method = session.login.method;
    if (facts.negotiation.empty() && session.opening.ssl_requested)
        facts.negotiation = session.opening.ssl_answer == 'N' ? "sslrequest-refused" : "sslrequest";
    const bool clear = session.opening.kind == OpeningKind::session && !facts.ssl && session.opening.ssl_answer != 'S';
    if (clear && session.opening.startup && facts.version.empty() && session.opening.ssl_answer == 'N')
        facts.ssl = false;
    if (session.farewell && session.end_sqlstate.empty()) session.end_sqlstate = session.farewell->sqlstate;
    session.over = session.over || !session.end_reason.empty() || !session.failures.empty() ||
                   session.opening.kind == OpeningKind::cancel;
    const auto is_tls_failure = [](const SessionFailure& failure) { return failure.event == "tls_failed"; };
    // Neither in clear nor in TLS: it came to nothing in between.
    if (std::any_of(session.failures.begin(), session.failures.end(), is_tls_failure)) facts.ssl.reset();
    for (const SessionFailure& failure : session.failures) {  // the capture's own comment says it once more
        std::erase_if(session.notes,
                      [&](const std::string& note) { return note.starts_with(failure.event + " reason="); });
    }
    if (!session.failures.empty()) return;
    if (auto failure = failure_in_packets(session)) session.failures.push_back(std::move(*failure));
}

std::string event_text(const AuditEvent& event) {
    std::string text = event.event;
    if (!event.facts.upstream_addr.empty()) text += " " + event.facts.upstream_addr;
    if (!event.message.empty()) text += ": " + event.message;
    return text;
}

std::uint64_t journal_time(const protocol::pcapng::JournalBlock& entry) {
    const std::string_view text = entry.value("__REALTIME_TIMESTAMP");
    std::uint64_t microseconds = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), microseconds);
    constexpr std::uint64_t most = std::uint64_t(1) << 53;  // beyond it ns do not fit
    return read.ec == std::errc() && microseconds < most ? microseconds * 1000 : 0;
}

bool ReadFilter::may_match(const SessionFacts& facts) const {
    const auto fits = [](const std::string& wanted, const std::string& known) {
        return wanted.empty() || known.empty() || wanted == known;
    };
    return fits(session, facts.session) && fits(user, facts.user) && fits(database, facts.database);
}

bool ReadFilter::matches(const ReadSession& read) const {
    const SessionFacts& facts = read.facts;
    const auto fits = [](const std::string& wanted, const std::string& known) {
        return wanted.empty() || wanted == known;
    };
    if (!fits(session, facts.session) || !fits(user, facts.user) || !fits(database, facts.database)) return false;
    if (!client) return true;
    const auto address = protocol::parse_endpoint(facts.client_addr);
    return address && client->contains(protocol::as_v6(*address).address);
}

bool ReadFilter::lacks_names(const ReadSession& read) const {
    if (!read.failed() || !read.facts.user.empty() || (user.empty() && database.empty())) return false;
    ReadFilter others = *this;
    others.user.clear();
    others.database.clear();
    return others.matches(read);
}

}  // namespace proxy::transcript
