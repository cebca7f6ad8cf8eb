#include "proxy/transcript/labels.hpp"

#include <algorithm>

namespace proxy::transcript {

using protocol::CapturedLogin;
using protocol::CapturedOpening;
using protocol::CapturedSide;
using protocol::CapturedStatement;

std::string_view label(CapturedStatement::Kind kind) noexcept {
    switch (kind) {
        case CapturedStatement::Kind::query: return "query";
        case CapturedStatement::Kind::execute: return "execute";
        case CapturedStatement::Kind::prepare: return "prepare";
        case CapturedStatement::Kind::function_call: return "function_call";
        case CapturedStatement::Kind::sync: return "sync";
        case CapturedStatement::Kind::unknown: break;
    }
    return "unknown";
}

std::string_view label(CapturedStatement::Outcome outcome) noexcept {
    switch (outcome) {
        case CapturedStatement::Outcome::completed: return "completed";
        case CapturedStatement::Outcome::suspended: return "suspended";
        case CapturedStatement::Outcome::failed: return "failed";
        case CapturedStatement::Outcome::skipped: return "skipped";
        case CapturedStatement::Outcome::unanswered: break;
    }
    return "unanswered";
}

std::string_view label(CapturedSide side) noexcept { return side == CapturedSide::client ? "client" : "server"; }

std::string_view label(CapturedOpening::Kind kind) noexcept {
    switch (kind) {
        case CapturedOpening::Kind::session: return "session";
        case CapturedOpening::Kind::cancel: return "cancel";
        case CapturedOpening::Kind::encrypted: return "tls_records";
        case CapturedOpening::Kind::established: return "established";
        case CapturedOpening::Kind::unknown: break;
    }
    return "";
}

std::string_view login_label(const ReadSession& session) noexcept {
    if (session.login.outcome == CapturedLogin::Outcome::accepted) return "accepted";
    const auto has = [&](auto holds) { return std::any_of(session.failures.begin(), session.failures.end(), holds); };
    // The proxy's own error, for want of a server: nobody has looked at the login.
    if (has([](const SessionFailure& failure) { return failure.event == "upstream_failed"; })) return "none";
    if (session.login.outcome == CapturedLogin::Outcome::refused) return "refused";
    const bool lost = session.in_the_middle || session.absent() || session.missing_client + session.missing_server > 0;
    return lost ? "not_captured" : "none";
}

std::string end_words(const ReadSession& session) {
    if (session.farewell) return "the server ended it";
    if (session.end.terminated) return "the client took its leave";
    const auto aborted = [](const SessionFailure& failure) {
        return failure.event == "tls_failed" && failure.reason == "tls_abandoned";
    };
    // Whoever closed first: the handshake was over by then.
    if (std::any_of(session.failures.begin(), session.failures.end(), aborted))
        return "the client aborted the TLS handshake";
    if (!session.end.closed_by) return session.over ? "it ended" : "";
    const std::string who = session.end.closed_by == CapturedSide::client ? "the client" : "the server or the proxy";
    return who + (session.end.reset ? " reset the connection" : " closed the connection");
}

}  // namespace proxy::transcript
