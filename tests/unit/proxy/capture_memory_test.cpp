// What becomes of captures for which there is no memory: each allocation fails once.
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "proxy/capture/captures.hpp"
#include "support/capture_file.hpp"
#include "support/catch.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using protocol::Buffer;
using support::Folder;
using support::NoMemory;

/// More than any of these tries takes.
constexpr std::size_t enough = 5'000;

CaptureFiles::Settings files(const Folder& folder) {
    return {.dir = folder.file("captures"),
            .file = {},
            .max_file_size = 4'000,
            .max_total_size = 1 << 24,
            .min_free_space = 0,
            .max_file_age = 1h};
}

CaptureOrder order() {
    CaptureOrder made;
    made.by = "uid 1000 (somebody with a long name)";
    made.filter.users = {"a user whose name is longer than what a string holds itself"};
    return made;
}

std::size_t open_descriptors() {
    const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace

TEST_CASE("captures without memory: what is written by a session is in the file, or counted as dropped") {
    bool any_failed = true;
    for (std::size_t n = 0; any_failed && n < enough; ++n) {
        const Folder folder;
        Capture capture(1, order(), files(folder));
        auto& leg = capture.interface("leg", "");
        std::vector<Buffer> packets(10, Buffer(500, 'x'));
        {
            const NoMemory none(n);
            for (Buffer& bytes : packets) capture.write({.interface = &leg, .bytes = std::move(bytes)});
            any_failed = none.failed();
        }
        capture.end(CaptureEnd::stopped);
        std::string why;
        CHECK(capture.run(why) == CaptureEnd::stopped);
        CHECK(capture.status().packets + capture.status().dropped == 10);
        if (!any_failed) CHECK(capture.status().packets == 10);
    }
    CHECK_FALSE(any_failed);
}

TEST_CASE("captures without memory: what the writing thread has none for is counted, and whole blocks are left") {
    bool any_failed = true;
    unsigned gone_on = 0, tries = 0;
    for (std::size_t n = 0; any_failed && n < enough; ++n, ++tries) {
        const Folder folder;
        Capture capture(1, order(), files(folder));
        auto& leg = capture.interface("leg", "");
        for (int i = 0; i < 10; ++i)
            capture.write({.interface = &leg, .bytes = Buffer(500, 'x'), .comment = std::string(100, 'c')});
        capture.end(CaptureEnd::stopped, "uid 7");
        std::string why;
        CaptureEnd end = CaptureEnd::none;
        {
            const NoMemory none(n);
            end = capture.run(why);
            any_failed = none.failed();
        }
        CHECK((end == CaptureEnd::stopped || end == CaptureEnd::failed));
        if (end == CaptureEnd::stopped) ++gone_on;
        const CaptureStatus status = capture.status();
        std::size_t found = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.file("captures"))) {
            if (entry.file_size() == 0) continue;
            found +=
                support::only<protocol::pcapng::PacketBlock>(support::blocks_of(support::content(entry.path()))).size();
        }
        CHECK(found == status.packets);
        CHECK(status.packets + status.dropped <= 10);
        if (end == CaptureEnd::stopped) CHECK(status.packets + status.dropped == 10);
    }
    CHECK_FALSE(any_failed);
    CHECK(tries > 20);
    CHECK(gone_on > 5);
}

TEST_CASE("captures without memory: the connection of one that does not begin is closed, and once") {
    bool begun = false;
    for (std::size_t n = 0; !begun && n < enough; ++n) {
        const Folder folder;
        const auto running = std::make_shared<RunningCaptures>(
            RunningCaptures::Settings{.config = {}, .state_dir = folder.file("state"), .listeners = {}},
            RunningCaptures::Uses{});
        const CaptureOrder wanted = order();
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        const std::size_t before = open_descriptors();
        bool refused = true;
        {
            const NoMemory none(n);
            try {
                refused = std::holds_alternative<CaptureRefused>(
                    running->start(wanted, RunningCaptures::Wanted::by_command, OwnedDescriptor(fds[0])));
            } catch (const std::bad_alloc&) {
                // As good as refused.
            }
            begun = !none.failed();
        }
        running->end(60s);
        std::string said(4'096, '\0');
        ssize_t taken = 0;
        do {
            taken = ::recv(fds[1], said.data(), said.size(), MSG_DONTWAIT);
        } while (taken > 0);
        CHECK(taken == 0);  // the end of the connection: nobody has it any more
        CHECK(open_descriptors() == before - 1);
        if (begun) CHECK_FALSE(refused);
        CHECK(running->status().empty());
        ::close(fds[1]);
    }
    CHECK(begun);
}
