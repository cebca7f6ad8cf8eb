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
    explicit Turncoat(const char* address = "127.0.0.1", std::uint16_t port = 0)
        : acceptor_(io_, {asio::ip::make_address(address), port}) {
        accept();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Turncoat() {
        io_.stop();
        thread_.join();
    }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::atomic<int> answers = 0, logins = 0;

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
        if (!std::exchange(peer.in, true) && ++logins)
            return support::message('R', std::string_view("\0\0\0\0", 4)) + support::message('Z', "I");
        const bool is_standby = ++answers % 2 == 0;
        return row({is_standby ? "t" : "f", is_standby ? "on" : "off", "default", "f"}) + support::message('Z', "I");
    }

    asio::io_context io_{1};
    Tcp::acceptor acceptor_;
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

/// An instance of Aurora that stays the writer, whose neighbour is "orders-2".
class Writer {
   public:
    Writer() {
        accept();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Writer() {
        io_.stop();
        thread_.join();
    }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::atomic<int> questions = 0, lists = 0;

   private:
    struct Peer {
        explicit Peer(Tcp::socket s) : socket(std::move(s)) {}
        Tcp::socket socket;
        std::array<char, 8192> chunk{};
        bool in = false;
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, Tcp::socket socket) {
            if (error) return;
            hear(std::make_shared<Peer>(std::move(socket)));
            accept();
        });
    }
    void hear(const std::shared_ptr<Peer>& peer) {
        peer->socket.async_read_some(
            asio::buffer(peer->chunk), [this, peer](boost::system::error_code error, std::size_t size) {
                if (error) return;
                boost::system::error_code ignored;
                asio::write(peer->socket, asio::buffer(answer(*peer, {peer->chunk.data(), size})), ignored);
                hear(peer);
            });
    }
    std::string answer(Peer& peer, std::string_view asked) {
        const std::string ready = support::message('Z', "I");
        if (!std::exchange(peer.in, true)) return support::message('R', std::string_view("\0\0\0\0", 4)) + ready;
        if (asked.find("replica_lag_in_msec") != std::string_view::npos)
            return row({"t", "orders-1", "MASTER_SESSION_ID", "0", "1"}) + row({"f", "orders-2", "2", "0", "1"}) +
                   ready;
        if (asked.find("to_regprocedure") != std::string_view::npos) {
            ++questions;
            return row({"f", "off", "default", "t"}) + ready;
        }
        ++lists;
        return ready;  // of sessions: none that is known
    }

    asio::io_context io_{1};
    Tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_;
};

/// Until `is_so`.
template <typename Condition>
bool comes_true(Condition is_so) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_so() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    return is_so();
}

struct Monitored {
    Monitored() = default;
    explicit Monitored(Resolver::LookUp look_up) : resolver(std::move(look_up)) {}
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

TEST_CASE("a server whose name leads to another at each look-up is asked all the same, by one session",
          "[host_monitor]") {
    Turncoat first;
    auto second = std::make_unique<Turncoat>("127.0.0.2", first.port());
    std::atomic<int> look_ups = 0;
    std::atomic<bool> turns = true;
    Monitored monitored([&](const std::string&) {
        const bool other = turns && ++look_ups % 2 == 0;
        const auto address = asio::ip::make_address(other ? "127.0.0.2" : "127.0.0.1");
        return Resolved{.endpoints = {Tcp::endpoint(address, 0)}, .error = {}};
    });
    const auto route = route_to("orders", first.port());
    route->settings.hosts[0].host = "orders.example.com";
    monitored.monitor.serve({route});
    REQUIRE(comes_true([&] { return second->answers > 0; }));
    REQUIRE(comes_true([&, begin = look_ups.load()] { return look_ups >= begin + 50; }));
    REQUIRE(Monitored::asked_again(first, 3));
    REQUIRE(Monitored::asked_again(*second, 3));
    CHECK(first.logins == 1);
    CHECK(second->logins == 1);
    CHECK(monitored.monitor.hosts().size() == 2);
    // One that has gone is not kept.
    turns = false;
    second.reset();
    CHECK(comes_true([&] { return monitored.monitor.hosts().size() == 1; }));
    REQUIRE(Monitored::asked_again(first, 3));
    CHECK(monitored.monitor.hosts().front().error.empty());
    monitored.resolver.close();
    monitored.monitor.close();
}

TEST_CASE("an instance that its neighbour tells of and that nobody asks is a look that failed", "[host_monitor]") {
    Writer writer;
    Monitored monitored;
    std::mutex mutex;
    std::vector<ServerLook> looks;
    monitored.monitor.sample({.tell = [&](ServerLook look) {
        const std::lock_guard lock(mutex);
        looks.push_back(std::move(look));
    }});
    const auto route = route_to("orders", writer.port());
    route->settings.sample_interval = 10ms;
    monitored.monitor.serve({route});
    const auto of = [&](const std::string& address) {
        const std::lock_guard lock(mutex);
        return std::count_if(looks.begin(), looks.end(), [&](const auto& one) { return one.upstream_addr == address; });
    };
    REQUIRE(comes_true([&] { return of("orders-2") >= 2; }));
    CHECK(of("orders-1") == 0);
    CHECK(of("127.0.0.1:" + std::to_string(writer.port())) > 0);
    monitored.resolver.close();
    monitored.monitor.close();
    const auto one =
        std::find_if(looks.begin(), looks.end(), [](const auto& look) { return look.upstream_addr == "orders-2"; });
    CHECK(one->upstream == "orders");
    CHECK(one->failure ==
          "belongs to this cluster and is not looked at: set discover = true, or list its endpoint in hosts");
    CHECK(one->interval == 10ms);
}

TEST_CASE("sessions are listed more often than roles are asked for, where that is what is configured",
          "[host_monitor]") {
    Writer writer;
    Monitored monitored;
    monitored.monitor.sample({.tell = [](const ServerLook&) {}});
    const auto route = route_to("orders", writer.port());
    route->settings.sample_interval = 10ms;
    route->settings.monitor_interval = 1h;  // after the first minute
    monitored.monitor.serve({route});
    CHECK(comes_true([&] { return writer.lists > 2 * writer.questions + 20; }));
    monitored.resolver.close();
    monitored.monitor.close();
}
