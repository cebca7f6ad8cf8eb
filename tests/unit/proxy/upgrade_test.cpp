#include <unistd.h>

#include <filesystem>
#include <memory>

#include "proxy/metrics/carried_metrics.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/chain_check.hpp"
#include "proxy/upgrade/channel.hpp"
#include "proxy/upgrade/overlap_text.hpp"
#include "proxy/upgrade/state_lock.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace proxy;
using support::content;
using support::Folder;
using support::lines;

Event named(const std::string& text) { return {.kind = EventKind::reload_failed, .message = text}; }

std::unique_ptr<AuditFile> chained_file(const std::string& path) {
    return std::make_unique<AuditFile>(AuditFile::Settings{
        .path = path, .chained = Chained::yes, .proxy = {}, .share = AuditShare::path_beside(path), .goes_on = true});
}

void write(AuditFile& file, const std::string& text) {
    file.add(named(text));
    file.flush();
}

/// What is wrong with the chain over these files; empty: nothing.
std::string broken(const std::vector<std::string>& paths) {
    ChainCheck check;
    std::string all;
    for (const std::string& path : paths) {
        for (const std::string& line : lines(content(path))) {
            if (const auto wrong = check.add(line)) all += *wrong + "\n";
        }
    }
    return all;
}

}  // namespace

// --- The audit of two processes

TEST_CASE("audit share: lines of two writers in turn are one chain") {
    const Folder folder;
    const std::string path = folder.file("audit.jsonl");
    const auto old = chained_file(path);
    write(*old, "1");
    const auto young = chained_file(path);
    for (int i = 0; i < 3; ++i) {
        write(*young, "young");
        write(*old, "old");
        write(*old, "old again");
    }
    CHECK(lines(content(path)).size() == 10);
    CHECK(broken({path}).empty());
    CHECK(content(path).find("chain_begins") == content(path).rfind("chain_begins"));
}

TEST_CASE("audit share: after a rotation that one writer was told of both go on in the new file, as one chain") {
    const Folder folder;
    const std::string path = folder.file("audit.jsonl"), rotated = folder.file("rotated");
    const auto old = chained_file(path), young = chained_file(path);
    write(*old, "1");
    write(*young, "2");
    std::filesystem::rename(path, rotated);
    write(*old, "still in the renamed file");
    young->reopen();
    write(*old, "4");
    write(*young, "5");
    CHECK(lines(content(rotated)).size() == 3);
    CHECK(lines(content(path)).size() == 2);
    CHECK(broken({rotated, path}).empty());
}

TEST_CASE("audit share: whoever is killed as it writes costs the other nothing") {
    const Folder folder;
    const std::string path = folder.file("audit.jsonl");
    const auto young = chained_file(path);
    write(*young, "1");
    {
        AuditShare killed(AuditShare::path_beside(path));
        REQUIRE(killed.begin());
        std::ofstream(path, std::ios::app) << R"({"ts":"half a)";
    }
    write(*young, "2");
    const auto all = lines(content(path));
    REQUIRE(all.size() == 3);
    CHECK(all[1] == R"({"ts":"half a)");
    CHECK(all[2].find(R"("chain_begins":"half a line")") != std::string::npos);
}

TEST_CASE("audit share: where no file can be made beside it, the audit is written all the same, and says so") {
    const Folder folder;
    const std::string path = folder.file("audit.jsonl");
    AuditFile file(
        {.path = path, .chained = Chained::yes, .proxy = {}, .share = folder.file("missing/lock"), .goes_on = false});
    write(file, "1");
    CHECK_FALSE(file.is_shared());
    CHECK(lines(content(path)).size() == 1);
}

TEST_CASE("audit share: its file is no audit file by any usual pattern") {
    CHECK(AuditShare::path_beside("/var/log/audit.jsonl") == "/var/log/.audit.jsonl.lock");
    CHECK(AuditShare::path_beside("audit") == ".audit.lock");
}

// --- The state directory

TEST_CASE("state lock: a second process is refused by name, one that inherits it is not, and the last one frees it") {
    const Folder folder;
    const std::string path = folder.file("");
    auto first = std::make_unique<StateLock>(path);
    REQUIRE(first->is_held());
    CHECK_THROWS_WITH(StateLock(path), Catch::Matchers::Contains("is in use by process " + std::to_string(::getpid())));
    auto heir = std::make_unique<StateLock>(first->copy());
    first.reset();
    CHECK_THROWS(StateLock(path));
    heir->leave();
    CHECK_NOTHROW(StateLock(path));
}

TEST_CASE("state lock: without a folder there is none") { CHECK_FALSE(StateLock("/nowhere/at/all").is_held()); }

// --- What the processes say

TEST_CASE("upgrade channel: texts come one by one, with their descriptors, and the end is told from silence") {
    auto [ours, theirs] = UpgradeChannel::make();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(ours.send("listen 127.0.0.1:6432", ends[1]));
    REQUIRE(ours.send("all"));
    const auto now = std::chrono::steady_clock::now();
    auto first = theirs.receive(now);
    REQUIRE(first);
    CHECK(first->after("listen") == "127.0.0.1:6432");
    CHECK_FALSE(first->after("list"));
    REQUIRE(first->descriptor);
    CHECK(::write(first->descriptor.get(), "x", 1) == 1);
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 1);
    CHECK(theirs.receive(now)->text == "all");
    CHECK_FALSE(theirs.receive(now));
    CHECK_FALSE(theirs.is_over());
    ours.close();
    CHECK_FALSE(theirs.receive(now));
    CHECK(theirs.is_over());
    CHECK_FALSE(theirs.send("anybody?"));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("overlap texts: a cancel is asked and answered as it was meant") {
    AddressGroup from{};
    from[15] = 0xab;
    const CancelQuestion question{.request = {.pid = 4711, .key = {0, 1, 0xfe, 0xff}}, .from = from, .limited = true};
    const std::string text = to_text(question);
    CHECK(text == "cancel 4711 0001feff 000000000000000000000000000000ab limited\n");
    const auto read = parse_cancel(std::string_view(text).substr(0, text.size() - 1));
    REQUIRE(read);
    CHECK(read->request.pid == 4711);
    CHECK(read->request.key == question.request.key);
    CHECK(read->from == from);
    CHECK(read->limited);
    for (const char* const wrong :
         {"", "cancel", "cancel x 00 00 free", "cancel 1 0 000000000000000000000000000000ab free",
          "cancel 1 00 ab free", "cancel 1 0g 000000000000000000000000000000ab free"}) {
        INFO(wrong);
        CHECK_FALSE(parse_cancel(wrong));
    }

    const auto outcome = parse_outcome("matched 10.0.0.1:5432 connection refused");
    REQUIRE(outcome);
    CHECK((outcome->matched && outcome->address == "10.0.0.1:5432" && outcome->error == "connection refused"));
    CHECK(to_text(CancelOutcome{.matched = true, .address = "a:1", .error = "two\nlines"}) ==
          "matched a:1 two lines\n");
    CHECK_FALSE(parse_outcome("unknown")->matched);
    CHECK_FALSE(parse_outcome("of a version to come"));
}

TEST_CASE("overlap texts: counts and frames, of which a newer version may say more") {
    Elsewhere counts{.served = 3, .per_address = {}, .logins = {}};
    counts.per_address[AddressGroup{1}] = 2;
    counts.logins[std::string("user a\0b c", 10)] = 1;
    CHECK(parse_elsewhere(to_text(counts)) == counts);
    CHECK_FALSE(parse_elsewhere("logins 0 1\n"));
    CHECK(parse_elsewhere("served 3 more\nsomething new\n")->served == 3);
    CHECK_FALSE(parse_elsewhere("served many\n"));
    CHECK(frame("metrics", "abc", "run-1") == "metrics 3 run-1\nabc");
    const auto header = parse_frame_header("metrics 3 run-1");
    REQUIRE(header);
    CHECK((header->kind == "metrics" && header->size == 3 && header->run == "run-1"));
    CHECK_FALSE(parse_frame_header("metrics"));
    CHECK_FALSE(parse_frame_header("metrics 99999999999999999999"));
    CHECK_FALSE(parse_frame_header("metrics 1000000000"));
}

// --- Metrics

TEST_CASE("carried metrics: counters and histograms are added, whatever only the other told is told too") {
    CarriedMetrics carried;
    const std::string other =
        "# HELP x_total h\n# TYPE x_total counter\nx_total{l=\"a b\"} 2\nx_total{l=\"gone\"} 5\n"
        "# HELP t h\n# TYPE t histogram\nt_bucket{le=\"1\"} 1\nt_bucket{le=\"+Inf\"} 2\nt_sum 1.5\nt_count 2\n"
        "# HELP g h\n# TYPE g gauge\ng 7\n"
        "# HELP process_cpu_seconds_total h\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 9\n";
    carried.add(other, false);
    CHECK(
        carried.added_to(
            "# HELP x_total h\n# TYPE x_total counter\nx_total{l=\"a b\"} 1\n"
            "# HELP t h\n# TYPE t histogram\nt_bucket{le=\"1\"} 10\nt_bucket{le=\"+Inf\"} 10\nt_sum 0.25\nt_count 10\n"
            "# HELP g h\n# TYPE g gauge\ng 1\n"
            "# HELP process_cpu_seconds_total h\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "
            "1\n") ==
        "# HELP x_total h\n# TYPE x_total counter\nx_total{l=\"a b\"} 3\nx_total{l=\"gone\"} 5\n"
        "# HELP t h\n# TYPE t histogram\nt_bucket{le=\"1\"} 11\nt_bucket{le=\"+Inf\"} 12\nt_sum 1.75\nt_count 12\n"
        "# HELP g h\n# TYPE g gauge\ng 1\n"
        "# HELP process_cpu_seconds_total h\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1\n");
}

TEST_CASE("carried metrics: in OpenMetrics as well, with its names, bounds, exemplars and end") {
    CarriedMetrics carried;
    carried.add("# TYPE x_total counter\nx_total 2\n# TYPE t histogram\nt_bucket{le=\"1\"} 1\n", false);
    CHECK(carried.added_to("# TYPE x counter\nx_total 1\n# TYPE t histogram\nt_bucket{le=\"1.0\"} 4 # "
                           "{session=\"s-1\"} 0.5 17.0\n# EOF\n") ==
          "# TYPE x counter\nx_total 3\n# TYPE t histogram\nt_bucket{le=\"1.0\"} 5 # {session=\"s-1\"} 0.5 17.0\n# "
          "EOF\n");
    CHECK(carried.added_to("# TYPE x counter\n# EOF\n") == "# TYPE x counter\nx_total 2\n# EOF\n");
}

TEST_CASE("carried metrics: clients of now are those of all that are alive, and no others") {
    const std::string other =
        "# TYPE pgairlock_client_connections gauge\npgairlock_client_connections{listener=\"l\"} 2\n"
        "# TYPE pgairlock_client_connections_total counter\npgairlock_client_connections_total{listener=\"l\"} 30\n";
    const std::string ours =
        "# TYPE pgairlock_client_connections_total counter\npgairlock_client_connections_total{listener=\"l\"} 1\n"
        "# TYPE pgairlock_client_connections gauge\npgairlock_client_connections{listener=\"l\"} 1\n";
    CarriedMetrics alive, ended;
    alive.add(other, true);
    ended.add(other, false);
    CHECK(alive.added_to(ours) ==
          "# TYPE pgairlock_client_connections_total counter\npgairlock_client_connections_total{listener=\"l\"} 31\n"
          "# TYPE pgairlock_client_connections gauge\npgairlock_client_connections{listener=\"l\"} 3\n");
    CHECK(ended.added_to(ours) ==
          "# TYPE pgairlock_client_connections_total counter\npgairlock_client_connections_total{listener=\"l\"} 31\n"
          "# TYPE pgairlock_client_connections gauge\npgairlock_client_connections{listener=\"l\"} 1\n");
}

// --- Roles of servers

TEST_CASE("inherited roles: what one process writes the other reads, in texts that are short enough") {
    using protocol::HostRole;
    std::vector<InheritedRole> roles;
    for (int i = 0; i < 40; ++i)
        roles.push_back({.upstream = "orders of " + std::to_string(i),
                         .host = "unix:/tmp/a folder",
                         .address = "[::1]:" + std::to_string(5000 + i),
                         .role = i % 2 == 0 ? HostRole::primary : HostRole::standby});
    const auto texts = to_texts(roles, 256);
    CHECK(texts.size() > 1);
    std::vector<InheritedRole> read;
    for (const std::string& text : texts) {
        CHECK(text.size() <= 256);
        for (InheritedRole& one : parse_roles(text)) read.push_back(std::move(one));
    }
    REQUIRE(read.size() == roles.size());
    for (std::size_t i = 0; i < roles.size(); ++i) {
        CHECK(read[i].upstream == roles[i].upstream);
        CHECK(read[i].host == roles[i].host);
        CHECK(read[i].address == roles[i].address);
        CHECK(read[i].role == roles[i].role);
    }
}

TEST_CASE("inherited roles: what is no line is neither written nor read") {
    using protocol::HostRole;
    CHECK(to_texts({{.upstream = "a\tb", .host = "h", .address = "1", .role = HostRole::primary}}, 256).empty());
    CHECK(to_texts({{.upstream = "a", .host = "h\n", .address = "1", .role = HostRole::primary}}, 256).empty());
    CHECK(to_texts({{.upstream = std::string(256, 'a'), .host = "h", .address = "1", .role = HostRole::primary}}, 256)
              .empty());
    for (const char* const text : {"", "\n", "primary", "primary\ta", "primary\ta\tb", "primary\ta\tb\t",
                                   "unknown\ta\tb\tc", "king\ta\tb\tc", "\ta\tb\tc"})
        CHECK(parse_roles(text).empty());
    CHECK(parse_roles("king\ta\tb\tc\nstandby\ta\tb\tc").size() == 1);
}
