// Which sockets are opened, kept and closed when the configuration changes, and who removes their
// paths. UNIX-domain sockets in a folder of its own stand for all.
#include "proxy/server/listening_sockets.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "support/catch.hpp"

namespace {

using namespace proxy;

/// A folder for sockets, clients of them, and what was accepted by the name of its listener.
struct Fixture {
    Fixture() {
        char pattern[] = "/tmp/sockets.XXXXXX";
        REQUIRE(::mkdtemp(pattern) != nullptr);
        folder = pattern;
    }
    ~Fixture() { std::filesystem::remove_all(folder); }

    std::string path(const std::string& name) const { return folder + "/" + name; }
    bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }

    config::Address address(const std::string& name) const {
        return {.kind = config::Address::Kind::unix_socket, .host = path(name), .port = 0, .origin = {}};
    }

    void add(Snapshot& snapshot, const std::string& listener, const std::vector<std::string>& names) const {
        auto route = std::make_shared<ListenerRoute>();
        route->settings.name = listener;
        for (const std::string& name : names) route->settings.listen.push_back(address(name));
        snapshot.listeners.push_back(std::move(route));
    }

    Snapshot snapshot(const std::string& listener, const std::vector<std::string>& names) const {
        Snapshot made;
        add(made, listener, names);
        return made;
    }

    int bind(const std::string& name) const { return bind_listener(address(name)).fd; }

    bool connect(const std::string& name) const {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strcpy(to.sun_path, path(name).c_str());
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
        ::close(fd);
        return connected;
    }

    /// Lets the accepting run as far as it comes.
    void settle() {
        io.restart();
        io.poll();
    }

    std::string folder;
    asio::io_context io{1};
    std::vector<std::string> accepted;
    ListeningSockets::OnAccept on_accept = [this](const auto& route, int fd, const Peer&) {
        accepted.push_back(route->settings.name);
        ::close(fd);
    };
};

TEST_CASE("listening sockets: those of the first snapshot are all new") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {});
    CHECK(sockets.use(sockets.prepare(f.snapshot("a", {"1", "2"}))).size() == 2);
    CHECK(f.connect("1"));
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"a"});
    sockets.stop();
    CHECK_FALSE(f.exists("1"));
}

TEST_CASE("listening sockets: one that is added is opened, the others are not touched") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {});
    sockets.use(sockets.prepare(f.snapshot("a", {"1"})));
    const auto opened = sockets.use(sockets.prepare(f.snapshot("a", {"1", "2"})));
    REQUIRE(opened.size() == 1);
    CHECK(opened[0]->configured == "unix:" + f.path("2"));
    CHECK(f.connect("1"));
    CHECK(f.connect("2"));
}

TEST_CASE("listening sockets: one that is removed takes no more connections, and its path goes") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {});
    sockets.use(sockets.prepare(f.snapshot("a", {"1", "2"})));
    f.settle();
    CHECK(sockets.use(sockets.prepare(f.snapshot("a", {"2"}))).empty());
    f.settle();
    CHECK_FALSE(f.exists("1"));
    CHECK(f.connect("2"));
}

TEST_CASE("listening sockets: an address that goes to another listener brings its clients there") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {});
    Snapshot before = f.snapshot("a", {"1"});
    f.add(before, "b", {"2"});
    sockets.use(sockets.prepare(before));
    Snapshot after = f.snapshot("b", {"1"});
    f.add(after, "renamed", {"2"});
    CHECK(sockets.use(sockets.prepare(after)).empty());
    f.connect("1");
    f.settle();
    f.connect("2");
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"b", "renamed"});
}

TEST_CASE("listening sockets: when one cannot be bound, all is as before") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {});
    sockets.use(sockets.prepare(f.snapshot("a", {"1"})));
    const int stranger = f.bind("taken");
    CHECK_THROWS_AS(sockets.prepare(f.snapshot("a", {"new", "taken"})), std::runtime_error);
    CHECK_FALSE(f.exists("new"));
    CHECK(f.exists("taken"));
    f.connect("1");
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"a"});
    ::close(stranger);
}

TEST_CASE("listening sockets: an inherited one is used, and its path is left to its maker") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {f.bind("1")});
    sockets.use(sockets.prepare(f.snapshot("a", {"1"})));
    f.connect("1");
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"a"});
    sockets.stop();
    CHECK(f.exists("1"));
}

TEST_CASE("listening sockets: an inherited one that a reload has removed can be named again") {
    Fixture f;
    const int service_managers = f.bind("1");
    ListeningSockets sockets(f.io, f.on_accept, {::dup(service_managers)});
    sockets.use(sockets.prepare(f.snapshot("a", {"1", "2"})));
    sockets.use(sockets.prepare(f.snapshot("a", {"2"})));
    f.settle();
    CHECK(f.connect("1"));
    f.settle();
    CHECK(f.accepted.empty());  // it waits in the service manager's socket
    CHECK(sockets.use(sockets.prepare(f.snapshot("again", {"1", "2"}))).size() == 1);
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"again"});
    ::close(service_managers);
}

TEST_CASE("listening sockets: an inherited one is still there after another could not be bound") {
    Fixture f;
    const int service_managers = f.bind("1"), stranger = f.bind("taken");
    ListeningSockets sockets(f.io, f.on_accept, {::dup(service_managers)});
    CHECK_THROWS_AS(sockets.prepare(f.snapshot("a", {"1", "taken"})), std::runtime_error);
    sockets.use(sockets.prepare(f.snapshot("a", {"1"})));
    f.connect("1");
    f.settle();
    CHECK(f.accepted == std::vector<std::string>{"a"});
    ::close(service_managers);
    ::close(stranger);
}

TEST_CASE("listening sockets: an inherited one that no listener names is closed") {
    Fixture f;
    ListeningSockets sockets(f.io, f.on_accept, {f.bind("other")});
    sockets.use(sockets.prepare(f.snapshot("a", {"1"})));
    CHECK_FALSE(f.connect("other"));
}

/// Of the process before us.
std::vector<ListeningSockets::Passed> passed(const Fixture& f, const std::vector<std::string>& names) {
    std::vector<ListeningSockets::Passed> all;
    for (const std::string& name : names) all.push_back({"unix:" + f.path(name), tls::OwnedDescriptor(f.bind(name))});
    return all;
}

TEST_CASE("listening sockets: what the process before us has made is its own until we take over") {
    Fixture f;
    {
        ListeningSockets sockets(f.io, f.on_accept, {}, passed(f, {"kept", "dropped"}));
        sockets.use(sockets.prepare(f.snapshot("a", {"kept"})));
        CHECK(f.connect("dropped"));
        CHECK(f.connect("kept"));
    }
    CHECK(f.exists("dropped"));
    CHECK(f.exists("kept"));
}

TEST_CASE("listening sockets: after that its paths are ours, and those that nothing names are gone") {
    Fixture f;
    {
        ListeningSockets sockets(f.io, f.on_accept, {}, passed(f, {"kept", "dropped"}));
        sockets.use(sockets.prepare(f.snapshot("a", {"kept"})));
        sockets.take_over();
        CHECK_FALSE(f.exists("dropped"));
        CHECK(f.connect("kept"));
    }
    CHECK_FALSE(f.exists("kept"));
}

}  // namespace
