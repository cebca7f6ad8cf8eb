#include "proxy/record/audit_file.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "proxy/record/chain_check.hpp"
#include "proxy/record/event_json.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/full_disk.hpp"

namespace {

using proxy::AuditFile;
using proxy::Chained;
using proxy::Event;
using proxy::EventKind;
using support::content;
using support::Folder;
using support::FullDisk;
using support::lines;

Event event(const std::string& text) { return {.kind = EventKind::reload_failed, .message = text}; }

}  // namespace

TEST_CASE("audit file: a line for each event, in order, readable by its group only") {
    const Folder folder;
    const std::string path = folder.file("audit.jsonl");
    const Event first = event("first"), second = event("second");
    {
        AuditFile file({.path = path});
        file.add(first);
        file.add(second);
        file.flush();
        CHECK(lines(content(path)) == std::vector{to_json(first), to_json(second)});
    }
    AuditFile again({.path = path});
    again.add(first);
    again.flush();
    CHECK(lines(content(path)).size() == 3);
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777 & ~0640U) == 0);
}

TEST_CASE("audit file: a renamed file is left alone once the path is opened anew") {
    const Folder folder;
    AuditFile file({.path = folder.file("audit")});
    file.add(event("old"));
    std::filesystem::rename(folder.file("audit"), folder.file("audit.1"));
    file.reopen();
    file.add(event("new"));
    file.flush();
    CHECK(content(folder.file("audit.1")).find("old") != std::string::npos);
    CHECK(lines(content(folder.file("audit.1"))).size() == 1);
    CHECK(content(folder.file("audit")).find("new") != std::string::npos);
}

TEST_CASE("audit file: when the path cannot be opened anew, the open file goes on being used") {
    const Folder folder;
    std::filesystem::create_directory(folder.file("logs"));
    AuditFile file({.path = folder.file("logs/audit")});
    std::filesystem::rename(folder.file("logs"), folder.file("elsewhere"));
    file.reopen();
    file.add(event("goes on"));
    file.flush();
    CHECK(lines(content(folder.file("elsewhere/audit"))).size() == 1);
}

TEST_CASE("audit file: one that cannot be opened is an error at the start") {
    const Folder folder;
    CHECK_THROWS_WITH(AuditFile({.path = folder.file("missing/audit")}),
                      "cannot open audit file " + folder.file("missing/audit") + ": No such file or directory");
}

TEST_CASE("audit file: without a path nothing is written") {
    AuditFile file({.path = ""});
    file.add(event("nowhere"));
    file.flush();
    file.reopen();
}

TEST_CASE("audit file: a full disk costs whole lines, and never leaves half a one") {
    const Folder folder;
    const std::string path = folder.file("audit");
    AuditFile file({.path = path});
    const Event kept = event("kept"), lost = event(std::string(500, 'x')), after = event("after");
    const std::size_t line = to_json(kept).size() + 1;
    {
        const FullDisk full(line + 100);
        file.add(kept);
        file.add(lost);
        file.flush();
        CHECK(lines(content(path)) == std::vector{to_json(kept)});
        file.add(lost);
        file.flush();
        CHECK(lines(content(path)) == std::vector{to_json(kept)});
    }
    file.add(after);
    file.flush();
    const auto said = lines(content(path));
    REQUIRE(said.size() == 3);
    CHECK(said[0] == to_json(kept));
    CHECK(said[1] == to_json(after));
    CHECK(said[2].find(R"("event":"events_dropped")") != std::string::npos);
    CHECK(said[2].find(R"("count":2)") != std::string::npos);
    file.add(after);
    file.flush();
    CHECK(lines(content(path)).size() == 4);
}

TEST_CASE("audit file: one that was removed is begun anew, and one that was renamed is not") {
    const Folder folder;
    const std::string path = folder.file("audit");
    const Event first = event("first"), second = event("second");
    AuditFile file({.path = path});
    SECTION("removed") {
        std::filesystem::remove(path);
        file.add(first);
        file.flush();
        CHECK(lines(content(path)) == std::vector{to_json(first)});
    }
    SECTION("renamed") {
        std::filesystem::rename(path, folder.file("audit.1"));
        file.add(first);
        file.flush();
        CHECK_FALSE(std::filesystem::exists(path));
        CHECK(lines(content(folder.file("audit.1"))) == std::vector{to_json(first)});
    }
}

TEST_CASE("audit file: what comes while one that was removed cannot be made again is lost, and told") {
    const Folder folder;
    const std::string path = folder.file("inner/audit");
    std::filesystem::create_directory(folder.file("inner"));
    AuditFile file({.path = path});
    file.add(event("kept until it is removed"));
    file.flush();
    CHECK(file.take_lost() == 0);
    std::filesystem::remove_all(folder.file("inner"));
    file.add(event("nowhere"));
    file.add(event("nowhere"));
    file.flush();
    CHECK(file.take_lost() == 2);
    CHECK(file.take_lost() == 0);
    std::filesystem::create_directory(folder.file("inner"));
    for (int tries = 0; tries < 600 && !std::filesystem::exists(path); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        file.flush();
    }
    file.add(event("after"));
    file.flush();
    const auto said = lines(content(path));
    REQUIRE(said.size() == 2);
    CHECK(said[1].find(R"("count":2)") != std::string::npos);
    CHECK(file.take_lost() == 0);
}

TEST_CASE("audit file: half a line that a killed proxy left is ended, and costs no other") {
    const Folder folder;
    const std::string path = folder.file("audit");
    std::ofstream(path) << "{\"ts\":";
    const Event whole = event("whole");
    AuditFile file({.path = path});
    file.add(whole);
    file.flush();
    CHECK(lines(content(path)) == std::vector<std::string>{"{\"ts\":", to_json(whole)});
}

TEST_CASE("audit file: in a pipe, where nothing can be taken off, half a line is ended") {
    const Folder folder;
    const std::string path = folder.file("pipe");
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::signal(SIGPIPE, SIG_IGN);
    int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    AuditFile file({.path = path});
    const int capacity = ::fcntl(reader, F_GETPIPE_SZ);
    std::thread goes_when_it_is_full([&] {
        for (int waiting = 0; waiting < capacity; ::ioctl(reader, FIONREAD, &waiting)) std::this_thread::yield();
        ::close(reader);
    });
    file.add(event(std::string(static_cast<std::size_t>(capacity), 'x')));
    file.flush();
    goes_when_it_is_full.join();

    reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    std::string text(static_cast<std::size_t>(capacity), '\0');
    while (::read(reader, text.data(), text.size()) > 0) {
    }
    const Event whole = event("whole");
    file.add(whole);
    file.flush();
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(reader, text.data(), text.size()))));
    CHECK(text.starts_with("\n" + to_json(whole) + "\n"));
    CHECK(text.find(R"("event":"events_dropped")") != std::string::npos);
    ::close(reader);
    std::signal(SIGPIPE, SIG_DFL);
}

namespace {

/// What the file's lines say when they are checked; empty: nothing.
std::vector<std::string> checked(const std::string& path) {
    proxy::ChainCheck check;
    std::vector<std::string> out;
    for (const std::string& line : lines(content(path))) out.push_back(check.add(line).value_or(""));
    return out;
}

void write_chained(const std::string& path, const std::string& text) {
    AuditFile file({.path = path, .chained = Chained::yes});
    file.add(event(text));
}

std::string why_it_begins(const std::string& line) {
    const auto chained = proxy::parse_chained(line);
    return chained ? std::string(chained->why) : "not chained";
}

}  // namespace

TEST_CASE("audit file: the chain goes on over restarts, and into the next file") {
    const Folder folder;
    const std::string path = folder.file("audit"), old = folder.file("audit.1");
    write_chained(path, "first process");
    {
        AuditFile file({.path = path, .chained = Chained::yes});
        file.add(event("second process"));
        std::filesystem::rename(path, old);
        file.reopen();
        file.add(event("after rotation"));
        file.flush();
    }
    write_chained(path, "third process");
    CHECK(checked(old) == std::vector<std::string>{"", ""});
    CHECK(why_it_begins(lines(content(old))[0]) == "no line");
    CHECK(why_it_begins(lines(content(path))[0]).empty());
    std::ofstream(old, std::ios::app) << content(path);
    CHECK(checked(old) == std::vector<std::string>(4));
}

TEST_CASE("audit file: where a chain cannot go on it begins anew, and says why") {
    const Folder folder;
    const std::string torn = folder.file("torn"), plain = folder.file("plain"), huge = folder.file("huge");
    write_chained(torn, "before");
    std::ofstream(torn, std::ios::app) << "{\"ts\":";
    write_chained(torn, "after");
    CHECK(why_it_begins(lines(content(torn)).back()) == "half a line");
    CHECK(checked(torn)[1] == "is no whole line");

    std::ofstream(plain) << "{}\n";
    write_chained(plain, "after");
    CHECK(why_it_begins(lines(content(plain)).back()) == "unchained line");

    std::ofstream(huge) << std::string(2 * 1024 * 1024, 'x') << "\n";
    write_chained(huge, "after");
    CHECK(why_it_begins(lines(content(huge)).back()) == "unreadable line");
}

TEST_CASE("audit file: lines that a full disk cost are a break in the chain") {
    const Folder folder;
    const std::string path = folder.file("audit");
    AuditFile file({.path = path, .chained = Chained::yes});
    file.add(event("kept"));
    file.flush();
    {
        const FullDisk full(content(path).size() + 100);
        file.add(event(std::string(500, 'x')));
        file.flush();
    }
    file.add(event("after"));
    file.add(event("after that"));
    file.flush();
    const auto said = checked(path);
    REQUIRE(said.size() == 4);
    CHECK(said[1].find("(lost lines)") != std::string::npos);
    CHECK(said[2].empty());
    CHECK(said[3].empty());
}
