#include "proxy/admin/console_control.hpp"

#include <spdlog/spdlog.h>

#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

using protocol::ConsoleStatement;
using Kind = ConsoleStatement::Kind;

ConsoleAnswer refused(const protocol::ErrorResponse& why) {
    ConsoleAnswer answer{.messages = {}, .failed = true};
    append(answer.messages, why);
    return answer;
}

ConsoleAnswer done(std::string_view tag) {
    ConsoleAnswer answer;
    protocol::append_command_complete(answer.messages, tag);
    return answer;
}

/// Done is only half of it while a key waits: whoever looks at nothing but the answer learns so.
ConsoleAnswer reloaded(const ReloadOutcome& outcome) {
    if (!outcome.why.empty())
        return refused(console_error("55000", "the reload failed: " + outcome.why,
                                     "The last good configuration goes on, and the reload is tried again."));
    ConsoleAnswer answer;
    for (const std::string& key : outcome.not_taken)
        append_notice(answer.messages,
                      {.severity = "WARNING",
                       .sqlstate = "01000",
                       .message = key + " has changed and is not taken up: that needs a restart, or an upgrade, which "
                                        "takes it up without a gap",
                       .detail = {},
                       .hint = {},
                       .position = 0});
    protocol::append_command_complete(answer.messages, "RELOAD");
    return answer;
}

void write_down(const std::string& command, const ConsoleAsker& asker, const ProcessControl& control) {
    const std::string by = user_text(asker.uid);
    spdlog::info("console: {}: {}", by, command);
    control.record({.kind = EventKind::console_command, .message = command, .by = by});
}

ConsoleAnswer kill(const ConsoleStatement& statement, const ConsoleAsker& asker, const ProcessControl& control,
                   const LiveSessions& sessions) {
    std::string name;
    for (const auto& one : sessions.open()) {
        const std::string_view session = one->facts.text(SessionText::session);
        const bool is_it =
            statement.id > 0 ? static_cast<std::uint64_t>(one->facts.pid) == statement.id : session == statement.text;
        if (is_it) name = session;
    }
    if (name.empty()) {
        const std::string wanted = statement.id > 0 ? std::to_string(statement.id) : "\"" + statement.text + "\"";
        return refused(console_error("42704", "no session " + wanted + " is open",
                                     "KILL takes session or pid of pg_stat_activity.", statement.position));
    }
    write_down("KILL " + name, asker, control);
    control.kill(name);
    return done("KILL");
}

}  // namespace

std::optional<ConsoleAnswer> obey(const ConsoleStatement& statement, const ConsoleAsker& asker,
                                  const ProcessControl& control, const LiveSessions& sessions) {
    switch (statement.kind) {
        case Kind::kill: return kill(statement, asker, control, sessions);
        case Kind::reload:
            if (control.phase() != Phase::serving)
                return refused(console_error("55000", "nothing is reloaded while the process drains"));
            write_down("RELOAD", asker, control);
            return reloaded(control.reload());
        case Kind::drain:
            if (control.phase() >= Phase::draining)
                return refused(console_error("55000", "the process drains already"));
            write_down("DRAIN", asker, control);
            control.drain();
            return done("DRAIN");
        case Kind::shutdown:
            write_down("SHUTDOWN", asker, control);
            control.shutdown();
            return done("SHUTDOWN");
        case Kind::upgrade:
            if (control.phase() != Phase::serving)
                return refused(console_error("55000", "a process that takes no more clients is not replaced"));
            write_down("UPGRADE", asker, control);
            if (const std::string why = control.upgrade(); !why.empty())
                return refused(console_error("55000", "the upgrade failed: " + why,
                                             "This process goes on, as if nothing had been tried."));
            return done("UPGRADE");
        default: return std::nullopt;
    }
}

}  // namespace proxy
