#include "bench/replay/opening_comparison.hpp"

namespace bench::replay {
namespace {

/// SQLSTATEs of PostgreSQL's appendix A, and its proxies'.
std::string in_words(const Attempt& attempt) {
    const std::string& code = attempt.sqlstate;
    if (code == "28P01") return "wrong password, or no such user";
    if (code.starts_with("28")) return "not let in: no such user, or not from here";
    if (code == "3D000") return "no such database";
    if (code == "53300") return "too many connections";
    if (code == "57P03") return "the server does not take connections now";
    if (!code.empty()) return "login refused";
    switch (attempt.phase) {
        case Phase::tcp: return "no connection";
        case Phase::sslrequest:
        case Phase::tls: return attempt.certificate_refused ? "the server's certificate is not trusted" : "TLS failed";
        default: return attempt.cannot_log_in ? "the server cannot be given what it asks for" : "the login failed";
    }
}

/// It says nothing of the server: it was not reached, or we are not whom the capture knows.
bool is_ours(const Attempt& attempt) {
    const bool not_reached = attempt.phase == Phase::tcp;
    return not_reached || attempt.cannot_log_in || attempt.sqlstate.starts_with("28");
}

void not_played(const Attempt& attempt, Outcome& outcome) {
    outcome.not_played_as = in_words(attempt) + (attempt.sqlstate.empty() ? "" : " (" + attempt.sqlstate + ")");
    outcome.why_not_played = attempt.error;
}

/// Its client went away, or said why it does: the server had no part in it but for what it showed.
void compare_refusal(const SessionFacts& facts, const Attempt& attempt, bool showed, Outcome& outcome) {
    if (facts.certificate_shown && !showed) {
        outcome.differs({.statement = 0,
                         .sql = "",
                         .was = "the certificate was shown, and the client left: " + facts.error,
                         .is = attempt.error});
        return;
    }
    outcome.left_out = (facts.alert ? "its client refused the handshake (" : "its client left the handshake (") +
                       facts.error + "), and what a client trusts is not in a capture: that cannot be replayed";
}

/// A cause that is offered again as it was.
bool is_replayed(const CapturedSession& session, const Outcome& outcome) {
    const std::string& error = session.facts.error;
    const auto says = [&](const char* text) { return error.find(text) != std::string::npos; };
    if (!session.offer) return false;
    if (says("unsupported protocol") || says("protocol version")) return true;
    return outcome.tls_left_out.empty() && (says("key share") || says("group"));
}

void compare_tls_failure(const CapturedSession& session, const Attempt& attempt, Outcome& outcome) {
    const SessionFacts& facts = session.facts;
    const bool by_client = facts.reason == "tls_abandoned" || (facts.reason.empty() && facts.alert);
    const bool showed = attempt.error.empty() || attempt.certificate_refused;
    if (by_client) return compare_refusal(facts, attempt, showed, outcome);
    if (!showed) return;  // as it did
    if (is_replayed(session, outcome)) {
        outcome.differs(
            {.statement = 0, .sql = "", .was = "TLS failed: " + facts.error, .is = "the certificate was shown"});
        return;
    }
    outcome.left_out = "its TLS failed (" + facts.error +
                       ") and does not here, where ciphers and certificates of its client are not replayed";
}

}  // namespace

void compare_opening(const CapturedSession& session, const Attempt& attempt, bool only_opening, Outcome& outcome) {
    const SessionPlan& plan = session.plan;
    const bool opened = attempt.error.empty();
    const bool tls_failed = session.facts.failed == "tls_failed" && !plan.startup;
    if (tls_failed) {
        if (!opened && attempt.phase == Phase::tcp) return not_played(attempt, outcome);
        return compare_tls_failure(session, attempt, outcome);
    }
    if (plan.login == Login::unknown) {
        outcome.left_out = "what became of its login is not in the capture";
        return;
    }
    const bool refused = plan.login == Login::refused;
    if (refused && plan.sqlstate.starts_with("28")) {
        outcome.left_out = "its client was refused for who it was, which is not done again";
        return;
    }
    const bool as_it_was = refused ? !opened && plan.sqlstate == attempt.sqlstate : opened;
    if (as_it_was) return;
    const bool is_answer = refused || only_opening;
    if (!opened && (is_ours(attempt) || !is_answer)) return not_played(attempt, outcome);
    outcome.differs({.statement = 0,
                     .sql = "",
                     .was = refused ? "refused with " + plan.sqlstate : "logged in",
                     .is = opened ? "logged in" : attempt.error});
}

}  // namespace bench::replay
