#include "proxy/upgrade/predecessors.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "proxy/upgrade/overlap_text.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "tls/owned_descriptor.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using support::Folder;

constexpr auto generously = 20s;

/// Waits for the thing itself; false: it did not come.
template <class Condition>
bool comes(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + generously;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// The socket of a process whose place was taken; what it says is the test's.
class OldProcess {
   public:
    OldProcess(const std::string& state_dir, pid_t pid, int backlog = 16) : path_(private_path(state_dir, pid)) {
        std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        REQUIRE(path_.size() < sizeof name.sun_path);
        std::memcpy(name.sun_path, path_.c_str(), path_.size() + 1);
        listening_ = tls::OwnedDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
        REQUIRE(::listen(listening_.get(), backlog) == 0);
    }

    /// The next connection, after its line; nothing where none comes.
    std::pair<tls::OwnedDescriptor, std::string> next() {
        pollfd waiting{.fd = listening_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, std::chrono::milliseconds(generously).count()) != 1) return {};
        tls::OwnedDescriptor connection(::accept(listening_.get(), nullptr, nullptr));
        std::string line;
        char one = 0;
        while (::recv(connection.get(), &one, 1, 0) == 1 && one != '\n') line += one;
        return {std::move(connection), line};
    }

    /// As its kernel does at its end.
    void end() {
        listening_.close();
        ::unlink(path_.c_str());
    }

   private:
    const std::string path_;
    tls::OwnedDescriptor listening_;
};

void tell(const tls::OwnedDescriptor& connection, unsigned served) {
    const std::string text = frame("counts", to_text(Elsewhere{.served = served, .per_address = {}, .logins = {}}));
    REQUIRE(::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

constexpr pid_t old_pid = 4242;

}  // namespace

TEST_CASE("predecessors: one that closes the connection and goes on is followed again, and keeps its counts") {
    const Folder folder;
    OldProcess old(folder.file("state"), old_pid);
    std::atomic<unsigned> served{0};
    std::atomic<bool> fell{false};
    Predecessors predecessors(folder.file("state"), {old_pid}, [&](const Elsewhere& all) {
        if (all.served < served) fell = true;
        served = all.served;
    });
    {
        const auto [connection, line] = old.next();
        REQUIRE(line == "follow");
        tell(connection, 20);
        REQUIRE(comes([&] { return served == 20; }));
        // Half a frame, as of one whose patience with us is over.
        REQUIRE(::send(connection.get(), "counts 900\nx", 12, MSG_NOSIGNAL) == 12);
    }
    auto [again, line] = old.next();
    CHECK(line == "follow");
    CHECK(predecessors.alive() == std::vector<pid_t>{old_pid});
    CHECK_FALSE(fell);
    tell(again, 21);
    CHECK(comes([&] { return served == 21; }));

    predecessors.order("drain");
    CHECK(old.next().second == "drain");

    old.end();
    again.close();
    CHECK(comes([&] { return predecessors.alive().empty(); }));
    CHECK(comes([&] { return served == 0; }));
}

TEST_CASE("predecessors: one that has no room for a connection just now is alive, and followed later") {
    const Folder folder;
    OldProcess old(folder.file("state"), old_pid, 0);
    // Its queue is full: it stands still.
    const Predecessors first(folder.file("state"), {old_pid}, [](const Elsewhere&) {});
    Predecessors predecessors(folder.file("state"), {old_pid}, [](const Elsewhere&) {});
    CHECK(predecessors.alive() == std::vector<pid_t>{old_pid});
    const auto one = old.next();
    CHECK(one.second == "follow");
    CHECK(old.next().second == "follow");
}

TEST_CASE("predecessors: one that is no more has ended at once") {
    const Folder folder;
    { OldProcess(folder.file("state"), old_pid).end(); }
    const Predecessors predecessors(folder.file("state"), {old_pid}, [](const Elsewhere&) {});
    CHECK(predecessors.alive().empty());
}
