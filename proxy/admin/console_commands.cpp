#include "proxy/admin/console_commands.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "config/spelling.hpp"
#include "protocol/console_absent.hpp"
#include "proxy/admin/capture_options.hpp"
#include "proxy/admin/console_error.hpp"
#include "proxy/admin/console_show.hpp"
#include "proxy/capture/capture_time.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using protocol::Buffer;
using protocol::Column;
using protocol::ColumnType;
using protocol::ConsoleStatement;
using protocol::ErrorResponse;
using Kind = ConsoleStatement::Kind;
using Value = std::optional<std::string_view>;

ConsoleAnswer failure(const ErrorResponse& why) {
    ConsoleAnswer answer{.messages = {}, .failed = true};
    append(answer.messages, why);
    return answer;
}

ConsoleAnswer complete(std::string_view tag) {
    ConsoleAnswer answer;
    protocol::append_command_complete(answer.messages, tag);
    return answer;
}

constexpr std::array capture_columns{
    Column{"id", ColumnType::int8},
    Column{"state"},
    Column{"by"},
    Column{"options"},
    Column{"writes_to"},
    Column{"file"},
    Column{"from"},
    Column{"started"},
    Column{"until"},
    Column{"ended"},
    Column{"sessions", ColumnType::int8},
    Column{"packets", ColumnType::int8},
    Column{"bytes", ColumnType::int8},
    Column{"dropped", ColumnType::int8},
    Column{"left_out", ColumnType::int8},
    Column{"not_entered", ColumnType::int8},
    Column{"entries_dropped", ColumnType::int8},
    Column{"files_removed", ColumnType::int8},
    Column{"reason"},
    Column{"message"},
    Column{"stopped_by"},
    Column{"warning"},
};

bool runs(const CaptureStatus& capture) { return capture.state == CaptureState::running; }

/// NULL for what is not known.
class CaptureRow {
   public:
    CaptureRow& text(std::string value) {
        values_.push_back(value.empty() ? std::nullopt : std::optional(std::move(value)));
        return *this;
    }
    CaptureRow& time(const std::optional<std::chrono::system_clock::time_point>& value) {
        return text(value ? utc_text(*value) : "");
    }
    CaptureRow& number(std::uint64_t value) { return text(std::to_string(value)); }

    void append_to(Buffer& out) const {
        const std::vector<Value> values(values_.begin(), values_.end());
        protocol::append_data_row(out, values);
    }

   private:
    std::vector<std::optional<std::string>> values_;
};

void append_capture(Buffer& out, const CaptureStatus& capture) {
    const bool has_begun = capture.id != 0;
    CaptureRow row;
    row.text(has_begun ? std::to_string(capture.id) : "").text(std::string(to_string(capture.state)));
    row.text(capture.by).text(options_text(capture.order)).text(capture.where).text(capture.file);
    row.time(capture.started).time(has_begun ? std::optional(capture.started) : std::nullopt).time(capture.until);
    row.time(capture.ended);
    for (const std::uint64_t count :
         {capture.sessions, capture.packets, capture.bytes, capture.dropped, capture.left_out, capture.not_entered,
          capture.entries_dropped, capture.files_removed})
        row.number(count);
    row.text(capture.reason).text(capture.message).text(capture.stopped_by).text(capture.warning);
    row.append_to(out);
}

ConsoleAnswer capture_rows(const std::vector<CaptureStatus>& captures, const char* tag) {
    ConsoleAnswer answer;
    protocol::append_row_description(answer.messages, capture_columns);
    for (const CaptureStatus& capture : captures) append_capture(answer.messages, capture);
    protocol::append_command_complete(answer.messages, tag);
    return answer;
}

ConsoleAnswer start(const ConsoleStatement& statement, const ConsoleAsker& asker, const CaptureControl& captures) {
    const auto started = start_capture(statement, asker, captures);
    if (const auto* why = std::get_if<ErrorResponse>(&started)) return failure(*why);
    ConsoleAnswer answer;
    append_warning(answer.messages, statement);
    const ConsoleAnswer rows = capture_rows({std::get<CaptureStatus>(started)}, "CAPTURE START");
    answer.messages.insert(answer.messages.end(), rows.messages.begin(), rows.messages.end());
    return answer;
}

/// One that ends runs no more, but is not over either.
ErrorResponse nothing_to_stop(std::uint64_t id, const std::vector<CaptureStatus>& captures) {
    std::string ending;
    for (const CaptureStatus& one : captures) {
        if (one.state != CaptureState::ending || (id != 0 && one.id != id)) continue;
        ending += (ending.empty() ? "" : ", ") + std::to_string(one.id);
    }
    const std::string number = std::to_string(id);
    if (id != 0 && !ending.empty())
        return console_error("42704", "capture " + number + " is ending already",
                             "What it holds is still written, for some seconds at most; CAPTURE STATUS shows it.");
    if (id != 0) return console_error("42704", "no capture " + number + " runs", "CAPTURE STATUS lists those that do.");
    if (!ending.empty())
        return console_error("42704", "no capture that a command started runs",
                             "What is ending already, and still written for some seconds at most: " + ending + ".");
    return console_error("42704", "no capture that a command started runs");
}

/// Answers with what was stopped, as it was a moment before.
ConsoleAnswer stop(const ConsoleStatement& statement, const ConsoleAsker& asker, const CaptureControl& captures) {
    std::vector<CaptureStatus> stopped = captures.status();
    if (statement.id != 0) std::erase_if(stopped, [&](const CaptureStatus& one) { return one.id != statement.id; });
    std::erase_if(stopped, [&](const CaptureStatus& one) { return !runs(one); });
    // Whose number that is might have to be asked of a directory, for which nobody waits here.
    const std::string by = "uid " + std::to_string(asker.uid);
    if (!stopped.empty() && !captures.stop(statement.id, by)) stopped.clear();
    const std::vector<CaptureStatus> left = captures.status();
    std::erase_if(stopped, [&](const CaptureStatus& one) {
        return std::any_of(left.begin(), left.end(),
                           [&](const CaptureStatus& other) { return other.id == one.id && runs(other); });
    });
    if (stopped.empty()) return failure(nothing_to_stop(statement.id, left));
    for (const CaptureStatus& one : stopped) spdlog::info("console: {}: capture {} stopped", by, one.id);
    return capture_rows(stopped, "CAPTURE STOP");
}

ConsoleAnswer one_value(std::string_view column, std::string_view value, std::string_view tag,
                        ColumnType type = ColumnType::text) {
    ConsoleAnswer answer;
    const Column shown{column, type};
    protocol::append_row_description(answer.messages, {&shown, 1});
    const Value one = value;
    protocol::append_data_row(answer.messages, {&one, 1});
    protocol::append_command_complete(answer.messages, tag);
    return answer;
}

/// "SHOW CLIENTS".
std::string shown_command(std::string_view name) { return "SHOW " + in_upper_case(name); }

ConsoleAnswer help() {
    std::vector<std::pair<std::string, std::string>> rows{
        {"CAPTURE START [(OPTION, ...)] [TO STDOUT | TO 'file']",
         "starts a capture: into files in capture.dir, into this connection, or into one file in capture.dir"},
    };
    for (const CaptureOption& option : capture_options()) {
        std::string text = "    " + in_upper_case(option.name);
        if (!option.value.empty()) text += " " + std::string(option.value);
        rows.emplace_back(std::move(text),
                          std::string(option.meaning) + (option.repeatable ? "; may be repeated" : ""));
    }
    rows.emplace_back("CAPTURE STOP [id]", "ends one capture, or all that commands started");
    rows.emplace_back("CAPTURE STATUS | SHOW CAPTURES",
                      "the captures that run, those that windows will start, and the last that are over");
    rows.emplace_back("SELECT ... | WITH ... | VALUES ... | TABLE ...",
                      "SQL over pg_stat_activity, pg_stat_ssl, open_sessions, sessions, clients, evidence, handshakes, "
                      "upstream_certificates, events, stats, config");
    for (const ConsoleView& view : console_views()) rows.emplace_back(shown_command(view.name), view.meaning);
    rows.emplace_back("KILL 'session' | pid", "ends one session, as pg_stat_activity has it");
    rows.emplace_back("RELOAD", "reads the configuration anew, as SIGHUP does");
    rows.emplace_back("UPGRADE", "has the binary that is at our path now take over, as SIGUSR2 does, and waits for it");
    rows.emplace_back("DRAIN", "accepts nobody more, and ends the process after the last session, as SIGTERM does");
    rows.emplace_back("SHUTDOWN", "ends every session, and the process, now");
    rows.emplace_back("SHOW VERSION", "which pgairlock this is");
    rows.emplace_back("SHOW HELP", "this");
    rows.emplace_back(
        "SET statement_timeout = '30s' | RESET | DISCARD | DEALLOCATE | CLOSE | UNLISTEN",
        "what drivers say for themselves: of no effect, but for statement_timeout. What the configuration "
        "says is changed there, and taken up by RELOAD");
    rows.emplace_back("BEGIN | START TRANSACTION | COMMIT | END | ROLLBACK | ABORT",
                      "what drivers put around a question");

    ConsoleAnswer answer;
    constexpr std::array columns{Column{"command"}, Column{"meaning"}};
    protocol::append_row_description(answer.messages, columns);
    for (const auto& [command, meaning] : rows) {
        const std::array<Value, 2> values{command, meaning};
        protocol::append_data_row(answer.messages, values);
    }
    protocol::append_command_complete(answer.messages, "SHOW");
    return answer;
}

std::string in_lower_case(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

ConsoleAnswer show(const ConsoleStatement& statement, const ConsoleAsker& asker, const CaptureControl& captures) {
    if (statement.text == "help") return help();
    if (statement.text == "version") return one_value("version", "pgairlock " + version(), "SHOW");
    if (statement.text == "captures") return capture_rows(captures.status(), "SHOW");
    for (const auto& [name, value] : shown_settings(asker)) {
        if (in_lower_case(name) == in_lower_case(statement.text)) return one_value(name, value, "SHOW");
    }
    if (const auto* absent = protocol::find_absent(protocol::absent_views(), statement.text))
        return failure(console_error("0A000", std::string(absent->told) + " (SHOW HELP lists the commands)",
                                     std::string(absent->hint), statement.position));
    std::vector<std::string_view> known{"help", "version", "captures"};
    for (const ConsoleView& view : console_views()) known.push_back(view.name);
    const auto meant = config::nearest(statement.text, known);
    return failure(console_error(
        "42704", "there is nothing to show by the name \"" + statement.text + "\" (SHOW HELP lists the commands)",
        meant ? "Perhaps you meant " + shown_command(*meant) + "." : "", statement.position));
}

/// The rights: what of the statements is more than reading.
bool is_command(Kind kind) {
    switch (kind) {
        case Kind::capture_start:
        case Kind::capture_stop:
        case Kind::kill:
        case Kind::reload:
        case Kind::drain:
        case Kind::shutdown:
        case Kind::upgrade: return true;
        case Kind::capture_status:
        case Kind::show:
        case Kind::sql:
        case Kind::select:
        case Kind::set:
        case Kind::begin:
        case Kind::commit:
        case Kind::rollback: break;
    }
    return false;
}

/// Whoever asks for nothing gets a row of nothing, as PostgreSQL gives it.
ConsoleAnswer select(const ConsoleStatement& statement) {
    if (statement.has_text)
        return one_value("?column?", statement.text, "SELECT 1",
                         statement.id == 1 ? ColumnType::int4 : ColumnType::text);
    ConsoleAnswer answer;
    protocol::append_row_description(answer.messages, {});
    protocol::append_data_row(answer.messages, {});
    protocol::append_command_complete(answer.messages, "SELECT 1");
    return answer;
}

/// The last word of `text`, in lower case.
std::string last_word(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    text = text.substr(0, text.find_last_not_of(blanks) + 1);
    const std::size_t before = text.find_last_of(" \t\r\n;");
    return in_lower_case(std::string(text.substr(before == std::string_view::npos ? 0 : before + 1)));
}

/// Empty: nothing is near.
std::string guess(const std::string& word, const std::string& before) {
    constexpr std::array<std::string_view, 3> of_capture{"start", "stop", "status"};
    constexpr std::array<std::string_view, 16> commands{"capture", "show",   "select", "with",     "values",  "table",
                                                        "kill",    "reload", "drain",  "shutdown", "upgrade", "set",
                                                        "discard", "begin",  "commit", "rollback"};
    if (before == "capture") {
        const auto meant = config::nearest(word, of_capture);
        return meant ? "CAPTURE " + in_upper_case(*meant) : "";
    }
    if (!before.empty()) return {};
    if (const auto meant = config::nearest(word, commands)) return in_upper_case(*meant);
    std::vector<std::string_view> views{"help", "version", "captures"};
    for (const ConsoleView& view : console_views()) views.push_back(view.name);
    const auto meant = config::nearest(word, views);
    return meant ? "SHOW " + in_upper_case(*meant) : "";
}

}  // namespace

ErrorResponse with_guess(ErrorResponse wrong, std::string_view query) {
    constexpr std::string_view where = " at or near \"";
    const std::size_t quote = wrong.message.find(where);
    if (!wrong.hint.empty() || wrong.position == 0 || quote == std::string::npos) return wrong;
    const std::size_t begin = quote + where.size();
    const std::string word = in_lower_case(wrong.message.substr(begin, wrong.message.find('"', begin) - begin));
    // Of another letter than ASCII's before it the place is not that of bytes: then there is none.
    const std::size_t at = wrong.position - 1;
    if (at >= query.size() || in_lower_case(std::string(query.substr(at, word.size()))) != word) return wrong;
    if (const std::string meant = guess(word, last_word(query.substr(0, at))); !meant.empty())
        wrong.hint = "Perhaps you meant " + meant + ".";
    return wrong;
}

std::optional<ErrorResponse> forbidden(const ConsoleStatement& statement, const ConsoleAsker& asker) {
    if (!is_command(statement.kind) || asker.right == ConsoleRight::command) return std::nullopt;
    return console_error("42501", "permission denied: uid " + std::to_string(asker.uid) + " may read, and not command",
                         "Add " + std::to_string(asker.uid) + " to admin.console_uids in pgairlock's configuration.");
}

ConsoleAnswer answer(const ConsoleStatement& statement, const ConsoleAsker& asker, const CaptureControl& captures) {
    if (const auto why = forbidden(statement, asker)) return failure(*why);
    switch (statement.kind) {
        case Kind::capture_start: return start(statement, asker, captures);
        case Kind::capture_stop: return stop(statement, asker, captures);
        case Kind::capture_status: return capture_rows(captures.status(), "CAPTURE STATUS");
        case Kind::show: return show(statement, asker, captures);
        case Kind::select: return select(statement);
        case Kind::sql:
        case Kind::kill:
        case Kind::reload:
        case Kind::drain:
        case Kind::shutdown:
        case Kind::upgrade: return failure(console_error("0A000", "that is answered by a running proxy alone"));
        case Kind::set:
        case Kind::begin:
        case Kind::commit:
        case Kind::rollback: break;
    }
    return complete(statement.text);
}

void append_warning(Buffer& out, const ConsoleStatement& start) {
    const auto order = capture_order(start);
    const auto* ordered = std::get_if<CaptureOrder>(&order);
    const std::string warning = ordered ? warning_of(ordered->filter) : "";
    if (warning.empty()) return;
    append_notice(
        out, {.severity = "WARNING", .sqlstate = "01000", .message = warning, .detail = {}, .hint = {}, .position = 0});
}

std::variant<CaptureStatus, ErrorResponse> start_capture(const ConsoleStatement& start, const ConsoleAsker& asker,
                                                         const CaptureControl& captures, OwnedDescriptor client) {
    auto order = capture_order(start);
    if (const auto* why = std::get_if<ErrorResponse>(&order)) return *why;
    auto& ordered = std::get<CaptureOrder>(order);
    ordered.by = user_text(asker.uid);
    auto started = captures.start(std::move(ordered), std::move(client));
    if (const auto* refused = std::get_if<CaptureRefused>(&started))
        return console_error("55000", "the capture was not started: " + refused->why);
    return std::get<CaptureStatus>(std::move(started));
}

}  // namespace proxy
