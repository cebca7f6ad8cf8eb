// One session as lines.
#include <algorithm>

#include "proxy/transcript/labels.hpp"
#include "proxy/transcript/transcript_text.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

using protocol::CapturedStatement;

/// Of a line; whoever wants the rest reads the JSON.
constexpr std::size_t text_width = 160;
constexpr std::size_t outcome_width = 22;

std::string right(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, report::columns_of(text)), ' ') + text;
}

std::string left(const std::string& text, std::size_t width) {
    return text + std::string(width - std::min(width, report::columns_of(text)), ' ');
}

std::string outcome_text(const CapturedStatement& statement) {
    switch (statement.outcome) {
        case CapturedStatement::Outcome::failed:
            return one_line(statement.error->severity + " " + statement.error->sqlstate, outcome_width);
        case CapturedStatement::Outcome::skipped: return "not run";
        case CapturedStatement::Outcome::unanswered: return "no answer";
        case CapturedStatement::Outcome::suspended: return counted(statement.rows, "row") + " so far";
        case CapturedStatement::Outcome::completed: break;
    }
    std::string tags;
    for (const std::string& tag : statement.tags) tags += (tags.empty() ? "" : "; ") + tag;
    if (statement.commands > statement.tags.size()) tags += "; ...";
    return one_line(tags.empty() ? "done" : tags, outcome_width);
}

std::string what_was_asked(const CapturedStatement& statement) {
    const std::string name = one_line(statement.name, 40);
    if (statement.kind == CapturedStatement::Kind::unknown) return "(the request is not in the capture)";
    if (statement.kind == CapturedStatement::Kind::function_call) return "(function call)";
    if (statement.kind == CapturedStatement::Kind::sync) return "(at the end of the pipeline)";
    if (!statement.text_known) {
        const std::string which = name.empty() ? "a prepared statement" : "prepared statement " + name;
        return "(" + which + ", whose text is not known here)";
    }
    std::string text = one_line(statement.text, text_width);
    if (statement.text_size > statement.text.size() && !text.ends_with("…")) text += "…";
    return name.empty() ? text : "[" + name + "] " + text;
}

std::string entry_text(const CapturedStatement& statement) {
    const std::uint64_t took = duration(statement);
    std::string out = "    " + clock_text(statement.begun) + right(took > 0 ? duration_text(took) : "", 11) + "  " +
                      left(outcome_text(statement), outcome_width) + "  " + what_was_asked(statement);
    if (statement.copied_in > 0) out += "  (" + bytes_text(statement.copied_in) + " from the client)";
    if (statement.copied_out > 0) out += "  (" + bytes_text(statement.copied_out) + " to the client)";
    if (statement.missing > 0) out += "  (" + counted(statement.missing, "byte") + " missing)";
    out += '\n';
    // Nobody is the wiser for asterisks.
    if (statement.error && statement.error->message.find_first_not_of("* ") != std::string::npos)
        out += std::string(31, ' ') + one_line(statement.error->message, text_width) + '\n';
    return out;
}

std::string entry_text(const protocol::CapturedGap& gap) {
    const std::string who(label(gap.from));
    const std::string missing = gap.bytes > 0 ? counted(gap.bytes, "byte") + " of the " + who + " missing here"
                                              : "what the " + who + " says is no message any more";
    return "    " + clock_text(gap.time) + "  -- " + missing +
           (gap.lost ? ": what follows is unreadable until a whole exchange is found" : "") + '\n';
}

std::string entry_text(const protocol::CapturedFind& found) {
    return "    " + clock_text(found.time) + "  -- readable again; " + counted(found.unreadable, "byte") +
           " before are not\n";
}

std::string who_text(const ReadSession& session) {
    const SessionFacts& facts = session.facts;
    const auto or_unknown = [](const std::string& text) { return text.empty() ? "?" : one_line(text, 63); };
    std::string out = facts.session.empty() ? "(no name)" : one_line(facts.session, 63);
    if (!facts.user.empty() || !facts.database.empty())
        out += "  " + or_unknown(facts.user) + "@" + or_unknown(facts.database);
    if (!facts.application_name.empty()) out += "  \"" + one_line(facts.application_name, 63) + "\"";
    const std::string port = facts.client_port >= 0 ? " port " + std::to_string(facts.client_port) : "";
    out += facts.client_addr.empty() ? "  from this host" : "  from " + one_line(facts.client_addr, 63) + port;
    if (!facts.listener.empty()) out += "  at " + one_line(facts.listener, 63);
    return time_text(session.started) + "  " + out + '\n';
}

std::string how_text(const ReadSession& session) {
    const SessionFacts& facts = session.facts;
    std::string out;
    const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
    if (session.opening.kind == protocol::CapturedOpening::Kind::cancel) {
        const std::uint32_t pid = session.opening.cancelled_pid;
        add("cancel request" + (pid > 0 ? " for process " + std::to_string(pid) : std::string()));
    }
    if (facts.ssl) add(*facts.ssl ? facts.version.empty() ? "TLS" : one_line(facts.version, 20) : "in clear");
    if (!facts.negotiation.empty()) add("opened by " + one_line(facts.negotiation, 40));
    if (!facts.sslmode_min.empty())
        add("sslmode " + one_line(facts.sslmode_min, 20) + ".." + one_line(facts.sslmode_max, 20));
    if (!facts.verifies.empty()) add("verifies: " + one_line(facts.verifies, 20));
    if (!facts.upstream_addr.empty()) {
        add("server " + one_line(facts.upstream_addr, 80) +
            (facts.upstream_version.empty() ? "" : " by " + one_line(facts.upstream_version, 20)) +
            (facts.upstream_prewarmed.value_or(false) ? " (its handshake was before: prewarm)" : ""));
    }
    return out.empty() ? out : "  " + out + '\n';
}

std::string login_text(const ReadSession& session) {
    std::string absent;
    for (const protocol::Absence why : session.absences) {
        if (protocol::kind(why) != protocol::AbsenceKind::part) absent += "  " + std::string(sentence(why)) + '\n';
    }
    if (!absent.empty() && session.opening.kind == protocol::CapturedOpening::Kind::unknown) return absent;
    if (session.in_the_middle) return absent + "  began before the capture\n";
    const std::string method =
        session.facts.auth_method.empty() ? "" : " by " + one_line(session.facts.auth_method, 40);
    if (session.login.outcome == protocol::CapturedLogin::Outcome::accepted) {
        const std::uint64_t took = session.login.time - std::min(session.opening.time, session.login.time);
        return "  login" + method + " accepted after " + duration_text(took) + '\n';
    }
    const bool lost = session.missing_client + session.missing_server > 0;
    if (session.opening.kind == protocol::CapturedOpening::Kind::session && !session.failed())
        return lost ? "  how the login went is not in the capture\n" : "  login" + method + " not over\n";
    return {};
}

std::string failure_text(const SessionFailure& failure) {
    const std::string detail = one_line(failure.detail, 400);
    const std::string words = one_line(failure.words, 400);
    std::string out = "  FAILED (" + one_line(failure.event, 40) +
                      (failure.sqlstate.empty() ? "" : ", SQLSTATE " + one_line(failure.sqlstate, 5)) + ")";
    if (!words.empty()) out += ": " + words;
    out += '\n';
    if (!detail.empty()) out += "    in its words: " + detail + '\n';
    return out;
}

std::string totals_text(const ReadSession& session) {
    const SessionTotals& totals = session.totals;
    std::string out;
    const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
    if (totals.statements > 0) add(counted(totals.statements, "statement"));
    if (totals.failed > 0) add(counted(totals.failed, "error"));
    if (totals.skipped > 0) add(std::to_string(totals.skipped) + " not run");
    if (totals.unanswered > 0) add(std::to_string(totals.unanswered) + " without an answer");
    if (totals.rows > 0) add(counted(totals.rows, "row"));
    if (totals.notices > 0) add(counted(totals.notices, "notice"));
    if (session.bytes_client + session.bytes_server > 0)
        add(bytes_text(session.bytes_client) + " from the client, " + bytes_text(session.bytes_server) + " to it");
    const std::string end = end_words(session);
    const std::uint64_t lasted = session.ended - std::min(session.started, session.ended);
    add(end.empty() ? "still open after " + duration_text(lasted) : end + " after " + duration_text(lasted));
    if (!session.end_reason.empty()) add("reason " + one_line(session.end_reason, 40));
    out = "  " + out + '\n';
    if (session.farewell) {
        out += "    the server's last words: " +
               one_line(session.farewell->severity + " " + session.farewell->sqlstate, 40) + " " +
               one_line(session.farewell->message, text_width) + '\n';
    }
    return out;
}

}  // namespace

std::string session_text(const ReadSession& session) {
    std::string out = who_text(session) + how_text(session) + login_text(session);
    for (const SessionFailure& failure : session.failures) out += failure_text(failure);
    for (const std::string& note : session.notes) out += "  note: " + one_line(note, 400) + '\n';
    for (const auto& entry : session.entries) {
        out += std::visit([](const auto& one) { return entry_text(one); }, entry);
    }
    if (session.entries_left_out > 0)
        out += "    ... " + counted(session.entries_left_out, "more line") + " are left out\n";
    if (session.rest_unreadable) out += "    -- the rest cannot be read: where the next message begins is not known\n";
    return out + totals_text(session);
}

}  // namespace proxy::transcript
