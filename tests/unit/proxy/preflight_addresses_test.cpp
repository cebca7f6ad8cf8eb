// Whether the addresses of a configuration could be listened on, as `pgairlock check` finds out.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "proxy/command/check/preflight.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace proxy;
using command::Finding;
using State = Finding::State;
namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

config::Address tcp(const std::string& host, std::uint16_t port) {
    config::Address address;
    address.kind = config::Address::Kind::tcp;
    address.host = host;
    address.port = port;
    return address;
}

std::vector<Finding> look(const support::Folder& folder, const std::vector<config::Address>& listen) {
    Snapshot snapshot;
    snapshot.config.admin.http.clear();
    snapshot.config.admin.console.clear();
    auto listener = std::make_shared<ListenerRoute>();
    listener->settings.listen = listen;
    snapshot.listeners.push_back(listener);
    return command::look_at_addresses(snapshot, {.state_dir = folder.file("")});
}

/// A port that somebody listens on.
class Taken {
   public:
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

   private:
    asio::io_context io_;
    Tcp::acceptor acceptor_{io_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
};

/// One that nobody has.
std::uint16_t free_port() { return Taken().port(); }

/// Another process, which works with the state directory and listens on a port.
class Other {
   public:
    explicit Other(const support::Folder& folder) {
        int up[2], down[2];
        REQUIRE(::pipe(up) == 0);
        REQUIRE(::pipe(down) == 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::close(down[1]);
            const InventoryUse use(folder.file("inventory.db"));
            const Taken taken;
            const std::uint16_t port = taken.port();
            char end = 0;
            if (::write(up[1], &port, sizeof port) == sizeof port && ::read(down[0], &end, 1) >= 0) ::_exit(0);
            ::_exit(1);
        }
        ::close(up[1]);
        ::close(down[0]);
        end_ = down[1];
        REQUIRE(::read(up[0], &port_, sizeof port_) == sizeof port_);
        ::close(up[0]);
    }
    ~Other() {
        ::close(end_);
        ::waitpid(child_, nullptr, 0);
    }
    Other(const Other&) = delete;
    Other& operator=(const Other&) = delete;
    std::uint16_t port() const { return port_; }

   private:
    pid_t child_ = -1;
    int end_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace

TEST_CASE("addresses of a check: two of one configuration that the kernel takes for one are seen", "[preflight]") {
    const support::Folder folder;
    const std::uint16_t port = free_port();
    const auto findings = look(folder, {tcp("0.0.0.0", port), tcp("127.0.0.1", port)});
    REQUIRE(findings.size() == 2);
    CHECK(findings[0].state == State::ok);
    CHECK(findings[1].state == State::stops);
    CHECK(findings[1].said.message.find("listener.listen 0.0.0.0:") != std::string::npos);
    for (const Finding& one : look(folder, {tcp("127.0.0.1", port), tcp("127.0.0.2", port), tcp("127.0.0.1", 0)}))
        CHECK(one.state == State::ok);
}

TEST_CASE("addresses of a check: what another process has is in the way, whether or not a pgairlock runs",
          "[preflight]") {
    const support::Folder folder;
    const Taken shared;
    REQUIRE(look(folder, {tcp("127.0.0.1", shared.port())}).front().state == State::stops);
    const Other running(folder);
    // What it took over from this process it has as well.
    CHECK(look(folder, {tcp("127.0.0.1", shared.port())}).front().state == State::skipped);
    const Taken taken;
    const std::uint16_t port = free_port();
    const auto findings =
        look(folder, {tcp("127.0.0.1", running.port()), tcp("127.0.0.1", taken.port()), tcp("127.0.0.1", port)});
    REQUIRE(findings.size() == 3);
    CHECK(findings[0].state == State::skipped);
    CHECK(findings[0].said.message.starts_with("not tried: a pgairlock with this state directory is running"));
    CHECK(findings[1].state == State::stops);
    CHECK(findings[2].state == State::ok);
}
