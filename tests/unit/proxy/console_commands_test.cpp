// What the console answers, with captures that are only written down.
#include "proxy/admin/console_commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "protocol/console_absent.hpp"
#include "proxy/admin/console_show.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using protocol::ErrorResponse;

const ConsoleAsker root{.uid = 0, .right = ConsoleRight::command};
const ConsoleAsker a_reader{.uid = 1234, .right = ConsoleRight::read};

std::string hint_of(const std::string& query) {
    const auto parsed = protocol::parse_console(query);
    const auto* const wrong = std::get_if<ErrorResponse>(&parsed);
    REQUIRE(wrong);
    return with_guess(*wrong, query).hint;
}

/// Captures that run nowhere.
struct Fake {
    std::vector<CaptureStatus> running;
    std::optional<std::string> refusal;
    std::uint64_t next_id = 1;
    std::string stopped_by;

    CaptureControl control() {
        return {.start = [this](CaptureOrder order, OwnedDescriptor) -> std::variant<CaptureStatus, CaptureRefused> {
                    if (refusal) return CaptureRefused{*refusal};
                    CaptureStatus status;
                    status.id = next_id++;
                    status.by = order.by;
                    status.where = "/captures";
                    status.order = std::move(order);
                    status.started = std::chrono::system_clock::time_point(1'000'000'000s);
                    status.warning = warning_of(status.order.filter);
                    if (status.order.lasts) status.until = status.started + *status.order.lasts;
                    running.push_back(status);
                    return status;
                },
                .stop =
                    [this](std::uint64_t id, const std::string& by) {
                        stopped_by = by;
                        return std::erase_if(running, [id](const CaptureStatus& one) {
                                   return id == 0 ? one.by.starts_with("uid ") : one.id == id;
                               }) > 0;
                    },
                .status = [this] { return running; }};
    }
};

/// What one statement is answered with: types, rows as texts, and the error.
struct Told {
    std::string types;
    std::vector<std::vector<std::string>> rows;
    std::optional<ErrorResponse> error;
    std::string tag;
};

Told told(const std::string& query, const ConsoleAsker& asker, Fake& fake) {
    const auto parsed = protocol::parse_console(query);
    REQUIRE(std::holds_alternative<std::vector<protocol::ConsoleStatement>>(parsed));
    const ConsoleAnswer answered =
        answer(std::get<std::vector<protocol::ConsoleStatement>>(parsed).at(0), asker, fake.control());
    Told told;
    protocol::MessageBuffer buffer(1 << 20);
    buffer.append(answered.messages);
    while (const auto message = buffer.next()) {
        told.types += message->type;
        protocol::Reader reader(message->body);
        if (message->type == 'E') told.error = protocol::parse_error_response(message->body);
        if (message->type == 'C') told.tag = reader.cstring();
        if (message->type != 'D') continue;
        told.rows.emplace_back();
        for (int left = reader.u16(); left > 0; --left) {
            const std::uint32_t size = reader.u32();
            told.rows.back().emplace_back(size == 0xffffffff ? "NULL" : protocol::as_text(reader.take(size)));
        }
    }
    CHECK(answered.failed == told.error.has_value());
    return told;
}

}  // namespace

TEST_CASE("console: of a command that is mistyped the one that was meant is told", "[console]") {
    CHECK(hint_of("relaod") == "Perhaps you meant RELOAD.");
    CHECK(hint_of("SHOW VERSION; SHUTDWON") == "Perhaps you meant SHUTDOWN.");
    CHECK(hint_of("  slect 1") == "Perhaps you meant SELECT.");
    CHECK(hint_of("CAPTURE STRAT (USER x)") == "Perhaps you meant CAPTURE START.");
    CHECK(hint_of("clients") == "Perhaps you meant SHOW CLIENTS.");
    CHECK(hint_of("help") == "Perhaps you meant SHOW HELP.");
    CHECK(hint_of("INSERT INTO sessions VALUES (1)").empty());
    CHECK(hint_of("CAPTURE START (").empty());
    CHECK(hint_of("\xc3\xa4 relaod").empty());
    CHECK(hint_of("PAUSE").find("DRAIN") != std::string::npos);  // what is told of another's command stays
}

TEST_CASE("the console starts a capture and says who asked, what for and until when") {
    Fake fake;
    const Told started = told("CAPTURE START (FOR '30m', LISTENER 'x')", root, fake);
    CHECK(started.types == "TDC");
    CHECK(started.tag == "CAPTURE START");
    REQUIRE(started.rows.size() == 1);
    CHECK(started.rows[0] == std::vector<std::string>{"1",
                                                      "running",
                                                      "uid 0 (root)",
                                                      "FOR '30m', PAYLOAD redacted, LISTENER 'x'",
                                                      "/captures",
                                                      "NULL",
                                                      "2001-09-09T01:46:40Z",
                                                      "2001-09-09T01:46:40Z",
                                                      "2001-09-09T02:16:40Z",
                                                      "NULL",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "NULL",
                                                      "NULL",
                                                      "NULL",
                                                      "NULL"});
    CHECK(told("CAPTURE STATUS", a_reader, fake).rows == started.rows);
    CHECK(told("SHOW CAPTURES", a_reader, fake).rows == started.rows);
}

TEST_CASE("the console says why a capture was not started") {
    Fake fake;
    fake.refusal = "the disk is full";
    const Told refused = told("CAPTURE START", root, fake);
    CHECK(refused.types == "E");
    CHECK(refused.error->sqlstate == "55000");
    CHECK(refused.error->message == "the capture was not started: the disk is full");
}

TEST_CASE("the console stops one capture, or all of commands, and says which") {
    Fake fake;
    for (int i = 0; i < 3; ++i) told("CAPTURE START", root, fake);
    fake.running[1].by = "window 2026-03-01T02:00Z/2026-03-01T04:00Z";
    const Told one = told("CAPTURE STOP 1", root, fake);
    CHECK(one.tag == "CAPTURE STOP");
    REQUIRE(one.rows.size() == 1);
    CHECK(one.rows[0][0] == "1");
    CHECK(fake.stopped_by == "uid 0");
    const Told again = told("CAPTURE STOP 1", root, fake);
    CHECK(again.error->sqlstate == "42704");
    CHECK(again.error->message == "no capture 1 runs");
    const Told all = told("CAPTURE STOP", root, fake);
    REQUIRE(all.rows.size() == 1);
    CHECK(all.rows[0][0] == "3");
    CHECK(told("CAPTURE STOP", root, fake).error->message == "no capture that a command started runs");
    CHECK(fake.running.size() == 1);
}

TEST_CASE("who may read may not command") {
    Fake fake;
    told("CAPTURE START", root, fake);
    for (const char* const query :
         {"CAPTURE START", "CAPTURE START (BAD) TO STDOUT", "CAPTURE STOP", "CAPTURE STOP 1"}) {
        const Told refused = told(query, a_reader, fake);
        CHECK(refused.types == "E");
        CHECK(refused.error->sqlstate == "42501");
        CHECK(refused.error->hint.find("admin.console_uids") != std::string::npos);
    }
    CHECK(fake.running.size() == 1);
    for (const char* const query : {"CAPTURE STATUS", "SHOW CAPTURES", "SHOW VERSION", "SHOW HELP", "SELECT 1"}) {
        CHECK_FALSE(told(query, a_reader, fake).error);
    }
}

TEST_CASE("SHOW HELP names every command and option") {
    Fake fake;
    std::string text;
    for (const auto& row : told("SHOW HELP", a_reader, fake).rows) text += row.at(0) + "\n";
    for (const char* const word :
         {"CAPTURE START", "CAPTURE STOP", "CAPTURE STATUS", "SHOW VERSION", "FOR", "PAYLOAD", "TRIGGER", "LISTENER",
          "USER", "DATABASE", "APPLICATION", "CLIENT", "MAX_SIZE", "KEYLOG"}) {
        INFO(word);
        CHECK(text.find(word) != std::string::npos);
    }
}

TEST_CASE("SHOW answers for what drivers look at, and names the help for the rest") {
    Fake fake;
    CHECK(told("SHOW timezone", a_reader, fake).rows.at(0).at(0) == "UTC");
    CHECK(told("SHOW \"TimeZone\"", a_reader, fake).rows.at(0).at(0) == "UTC");
    CHECK(told("SHOW transaction_isolation", a_reader, fake).rows.at(0).at(0) == "read committed");
    const Told unknown = told("SHOW nothing", a_reader, fake);
    CHECK(unknown.error->sqlstate == "42704");
    CHECK(unknown.error->message.find("SHOW HELP") != std::string::npos);
}

TEST_CASE("what only PgBouncer shows is told as such, with what to use") {
    Fake fake;
    // The rest of what its documentation lists under SHOW.
    for (const std::string name : {"active_sockets", "sockets", "fds", "mem", "dns_hosts", "dns_zones", "peers",
                                   "peer_pools", "state", "stats_averages"}) {
        INFO(name);
        const Told absent = told("SHOW " + name, a_reader, fake);
        REQUIRE(absent.error);
        CHECK(absent.error->sqlstate == "0A000");
        CHECK(absent.error->message.find(" is PgBouncer's: ") != std::string::npos);
        CHECK_FALSE(absent.error->hint.empty());
    }
    for (const protocol::AbsentWord& absent : protocol::absent_views()) {
        CHECK_FALSE(find_view(absent.word));
        CHECK(absent.word != "help");
    }
}

TEST_CASE("SHOW HELP lists what there is, and nothing else") {
    Fake fake;
    std::set<std::string> shown, begin;
    for (const auto& row : told("SHOW HELP", a_reader, fake).rows) {
        const std::string& line = row.at(0);
        if (line.starts_with("    ")) continue;  // an option of the command above
        for (std::size_t at = 0; at < line.size();) {
            const std::size_t end = std::min(line.find(" | ", at), line.size());
            const std::string command = line.substr(at, end - at);
            begin.insert(command.substr(0, command.find(' ')));
            if (command.starts_with("SHOW ")) shown.insert(command.substr(5));
            at = std::min(end + 3, line.size());
        }
    }
    // Everything that is shown can be asked for.
    for (const std::string& name : shown) {
        INFO(name);
        std::string lower = name;
        for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        const bool is_simple = lower == "help" || lower == "version" || lower == "captures";
        CHECK((is_simple || find_view(lower) != nullptr));
        CHECK(find_absent(protocol::absent_views(), lower) == nullptr);
    }
    CHECK(shown.size() == console_views().size() + 3);
    // Each word that begins a statement is there; "pid" and "TO" are parts of one.
    const std::set<std::string> words{"CAPTURE", "SHOW",       "SELECT",   "WITH",     "VALUES", "TABLE",
                                      "KILL",    "RELOAD",     "DRAIN",    "SHUTDOWN", "SET",    "RESET",
                                      "DISCARD", "DEALLOCATE", "CLOSE",    "UNLISTEN", "BEGIN",  "START",
                                      "COMMIT",  "END",        "ROLLBACK", "ABORT",    "UPGRADE"};
    for (const std::string& word : words) {
        INFO(word);
        CHECK(begin.contains(word));
    }
    for (const std::string& word : begin) {
        INFO(word);
        CHECK((words.contains(word) || word == "pid" || word == "TO"));
    }
}

TEST_CASE("whoever asks for nothing is answered, as a sign of life") {
    Fake fake;
    CHECK(told("SELECT", a_reader, fake).types == "TDC");
    CHECK(told("SELECT 1", a_reader, fake).rows.at(0).at(0) == "1");
    CHECK(told("SET a = b", a_reader, fake).tag == "SET");
}

TEST_CASE("root, our own user and those who are named may speak to the console, and nobody else") {
    config::Admin admin;
    admin.console_uids = {70001};
    admin.console_readers = {70002, 70001};
    CHECK(right_of(0, admin) == ConsoleRight::command);
    CHECK(right_of(::geteuid(), admin) == ConsoleRight::command);
    CHECK(right_of(70001, admin) == ConsoleRight::command);
    CHECK(right_of(70002, admin) == ConsoleRight::read);
    CHECK(right_of(70003, admin) == ConsoleRight::none);
}

TEST_CASE("a descriptor that was handed over is closed when the order is wrong") {
    Fake fake;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const auto parsed = protocol::parse_console("CAPTURE START (BAD) TO STDOUT");
    const auto started = start_capture(std::get<std::vector<protocol::ConsoleStatement>>(parsed).at(0), root,
                                       fake.control(), OwnedDescriptor(ends[1]));
    CHECK(std::get<ErrorResponse>(started).sqlstate == "42601");
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 0);
    ::close(ends[0]);
}

TEST_CASE("whoever filters by what a failed TLS handshake does not tell is warned of it") {
    Fake fake;
    for (const char* const query : {"CAPTURE START (USER 'x')", "CAPTURE START (DATABASE 'x', LISTENER 'y')"}) {
        const Told started = told(query, root, fake);
        CHECK(started.types == "NTDC");
        CHECK(started.rows.at(0).back().find("TLS fails") != std::string::npos);
    }
}

TEST_CASE("who stops a capture that is ending already is told so, and not that there is none") {
    Fake fake;
    for (int i = 0; i < 2; ++i) told("CAPTURE START", root, fake);
    for (CaptureStatus& one : fake.running) one.state = CaptureState::ending;
    const Told one = told("CAPTURE STOP 2", root, fake);
    REQUIRE(one.error);
    CHECK(one.error->sqlstate == "42704");
    CHECK(one.error->message == "capture 2 is ending already");
    const Told all = told("CAPTURE STOP", root, fake);
    REQUIRE(all.error);
    CHECK(all.error->message == "no capture that a command started runs");
    CHECK(all.error->hint == "What is ending already, and still written for some seconds at most: 1, 2.");
    CHECK(told("CAPTURE STOP 9", root, fake).error->message == "no capture 9 runs");
}

TEST_CASE("captures that are planned or over are shown with what is known of them, and not stopped") {
    Fake fake;
    CaptureStatus planned, over;
    planned.state = CaptureState::planned;
    planned.by = "window w";
    planned.started = std::chrono::system_clock::time_point(1'000'000'000s);
    planned.until = planned.started + 1h;
    over.id = 9;
    over.state = CaptureState::failed;
    over.reason = "disk";
    over.message = "no space left";
    over.stopped_by = "disk";
    over.files_removed = 3;
    over.ended = planned.until;
    fake.running = {planned, over};
    const Told shown = told("CAPTURE STATUS", a_reader, fake);
    REQUIRE(shown.rows.size() == 2);
    const auto& first = shown.rows[0];
    CHECK(first[0] == "NULL");
    CHECK(first[1] == "planned");
    CHECK(first[6] == "2001-09-09T01:46:40Z");
    CHECK(first[7] == "NULL");
    const auto& second = shown.rows[1];
    CHECK(second[0] == "9");
    CHECK(second[1] == "failed");
    CHECK(second[9] == "2001-09-09T02:46:40Z");
    CHECK(second[17] == "3");
    CHECK(second[18] == "disk");
    CHECK(second[19] == "no space left");
    CHECK(told("CAPTURE STOP 9", root, fake).error->message == "no capture 9 runs");
    CHECK(told("CAPTURE STOP", root, fake).error);
    CHECK(fake.running.size() == 2);
}

TEST_CASE("console: each kind of statement has its right, and those who may only read are told 42501") {
    using Kind = protocol::ConsoleStatement::Kind;
    const std::map<Kind, ConsoleRight> needs{
        {Kind::capture_start, ConsoleRight::command},
        {Kind::capture_stop, ConsoleRight::command},
        {Kind::capture_status, ConsoleRight::read},
        {Kind::show, ConsoleRight::read},
        {Kind::sql, ConsoleRight::read},
        {Kind::kill, ConsoleRight::command},
        {Kind::reload, ConsoleRight::command},
        {Kind::drain, ConsoleRight::command},
        {Kind::shutdown, ConsoleRight::command},
        {Kind::upgrade, ConsoleRight::command},
        {Kind::set, ConsoleRight::read},
        {Kind::select, ConsoleRight::read},
        {Kind::begin, ConsoleRight::read},
        {Kind::commit, ConsoleRight::read},
        {Kind::rollback, ConsoleRight::read},
    };
    for (int number = 0; number <= static_cast<int>(Kind::rollback); ++number) {
        const auto kind = static_cast<Kind>(number);
        INFO("kind " << number);
        REQUIRE(needs.count(kind) == 1);
        const protocol::ConsoleStatement statement{.kind = kind};
        CHECK_FALSE(forbidden(statement, root));
        const auto refused = forbidden(statement, a_reader);
        CHECK(refused.has_value() == (needs.at(kind) == ConsoleRight::command));
        if (refused) CHECK(refused->sqlstate == "42501");
    }
}
