// The monitor's own thread, before a server that says what a test wants.
#include "proxy/upstream/host_monitor.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/write.hpp>

#include "support/catch.hpp"
#include "support/messages.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using protocol::HostRole;
using Tcp = asio::ip::tcp;

constexpr auto patience = 120s;

std::string row(std::initializer_list<std::string_view> values) {
    protocol::Buffer out;
    protocol::Writer writer(out);
    writer.u8(0);
    writer.u8(static_cast<std::uint8_t>(values.size()));
    for (const std::string_view value : values) {
        writer.u32(static_cast<std::uint32_t>(value.size()));
        writer.bytes(protocol::as_bytes(value));
    }
    return support::message('D', protocol::as_text(out));
}

/// A server without passwords, whose role is another one each time that it is asked.
class Turncoat {
   public:
    Turncoat() {
        accept();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Turncoat() {
        io_.stop();
        thread_.join();
    }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::atomic<int> answers = 0;

   private:
    struct Peer {
        explicit Peer(Tcp::socket s) : socket(std::move(s)) {}
        Tcp::socket socket;
        std::array<char, 4096> chunk{};
        bool in = false;
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, Tcp::socket socket) {
            if (error) return;
            hear(std::make_shared<Peer>(std::move(socket)));
            accept();
        });
    }
    /// What comes at once is one message: its sender waits for the answer.
    void hear(const std::shared_ptr<Peer>& peer) {
        peer->socket.async_read_some(asio::buffer(peer->chunk),
                                     [this, peer](boost::system::error_code error, std::size_t) {
                                         if (error) return;
                                         boost::system::error_code ignored;
                                         asio::write(peer->socket, asio::buffer(answer(*peer)), ignored);
                                         hear(peer);
                                     });
    }
    std::string answer(Peer& peer) {
        if (!std::exchange(peer.in, true))
            return support::message('R', std::string_view("\0\0\0\0", 4)) + support::message('Z', "I");
        const bool is_standby = ++answers % 2 == 0;
        return row({is_standby ? "t" : "f", is_standby ? "on" : "off", "default", "f"}) + support::message('Z', "I");
    }

    asio::io_context io_{1};
    Tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_;
};

std::shared_ptr<UpstreamRoute> route_to(const std::string& name, std::uint16_t port) {
    auto route = std::make_shared<UpstreamRoute>();
    route->settings.name = name;
    route->settings.hosts = {{.kind = config::Address::Kind::tcp, .host = "127.0.0.1", .port = port, .origin = {}}};
    route->settings.sslmode = protocol::SslMode::disable;
    route->settings.monitor_user = "monitor";
    route->settings.monitor_interval = 1ms;
    return route;
}

struct Monitored {
    Resolver resolver;
    Outages outages;
    HostRoles roles;
    HostMonitor monitor{resolver, outages, roles};

    ~Monitored() {
        resolver.close();
        monitor.close();
    }
    /// Until the server has been asked so often once more.
    static bool asked_again(const Turncoat& server, int times) {
        const int wanted = server.answers + times;
        const auto end = std::chrono::steady_clock::now() + patience;
        while (server.answers < wanted && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
        return server.answers >= wanted;
    }
};

}  // namespace

TEST_CASE("a monitor whose thread finds no memory goes on asking, whatever it was for", "[host_monitor]") {
    Turncoat server;
    Monitored monitored;
    // Told on the monitor's thread, in the middle of what it does with an answer.
    std::atomic<std::size_t> allocations = 0;
    std::atomic<int> failed = 0;
    std::optional<support::NoMemory> none;
    const auto changes = monitored.roles.subscribe([&](const HostRoles::Change&) {
        if (none && none->failed()) ++failed;
        none.reset();
        none.emplace(allocations.load());
    });
    monitored.monitor.serve({route_to("orders", server.port())});
    REQUIRE(Monitored::asked_again(server, 4));
    constexpr std::size_t most = 300;
    for (allocations = 0; allocations < most; ++allocations) {
        CAPTURE(allocations.load());
        REQUIRE(Monitored::asked_again(server, 3));
    }
    CHECK(failed > 20);
    monitored.resolver.close();
    monitored.monitor.close();
    none.reset();
}

TEST_CASE("what a monitor was ordered to do is done once there is memory again", "[host_monitor]") {
    Turncoat first, second;
    Monitored monitored;
    std::atomic<bool> fails = false;
    std::optional<support::NoMemory> none;
    const auto changes = monitored.roles.subscribe([&](const HostRoles::Change&) {
        none.reset();
        if (fails) none.emplace(0, 50);
    });
    monitored.monitor.serve({route_to("first", first.port())});
    REQUIRE(Monitored::asked_again(first, 4));
    fails = true;
    REQUIRE(Monitored::asked_again(first, 3));
    const auto other = route_to("second", second.port());
    monitored.monitor.serve({other});
    REQUIRE(Monitored::asked_again(second, 3));
    fails = false;
    REQUIRE(Monitored::asked_again(second, 3));
    // And the one that nobody wants is left alone: it is not shown any more either.
    const auto end = std::chrono::steady_clock::now() + patience;
    const auto shows_first = [&] {
        const auto all = monitored.monitor.hosts();
        return std::any_of(all.begin(), all.end(), [](const MonitoredHost& one) { return one.upstream == "first"; });
    };
    while (shows_first() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    CHECK_FALSE(shows_first());
    monitored.resolver.close();
    monitored.monitor.close();
    none.reset();
}
