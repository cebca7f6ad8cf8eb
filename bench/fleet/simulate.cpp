// Many proxies in one process, as far as a fleet's inventory database sees them: each has an
// inventory file and a copier of its own, the real ones (proxy/inventory/), which are fed with
// events that no client caused. bench/fleet/fleet.py gives the orders, one a line on standard
// input, and measures meanwhile.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "proxy/inventory/fleet.hpp"
#include "proxy/inventory/inventory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using Clock = std::chrono::steady_clock;

constexpr auto retention = std::chrono::hours(400 * 24);
constexpr int workers = 4;

struct Settings {
    std::string url, folder;
    std::size_t proxies = 0, clients = 0;
};

/// A login of the kind that most are; every fifth client comes in clear.
Event login(std::size_t proxy, std::size_t client, std::chrono::system_clock::time_point time) {
    Event event{.kind = EventKind::connected};
    event.time = time;
    proxy::SessionRecord& record = event.record;
    char session[32];
    std::snprintf(session, sizeof session, "%08zx%04zx-%zx", proxy, client, static_cast<std::size_t>(std::rand()));
    record.session = session;
    record.listener = "main";
    record.upstream = "orders";
    record.client_addr = "10." + std::to_string(proxy / 65536 % 256) + "." + std::to_string(proxy / 256 % 256) + "." +
                         std::to_string(proxy % 256);
    record.usename = "orders_service_" + std::to_string(client);
    record.datname = "orders";
    record.application_name = "orders-service";
    record.auth_method = "scram-sha-256";
    record.ssl = client % 5 != 4;
    record.evidence = {record.ssl ? protocol::Evidence::tls_startup : protocol::Evidence::clear_startup};
    if (record.ssl) {
        record.client_tls.version = "TLSv1.3";
        record.client_tls.cipher = "TLS_AES_256_GCM_SHA384";
        record.client_tls.group = "x25519";
        record.client_tls.certificate_shown = "/etc/pgairlock/server.crt";
        record.ja4 = "t13d1516h2_8daaf6152771_b186095e22b6";
        record.sni = "orders.internal";
    }
    record.upstream_addr = "10.200.0.1:5432";
    record.upstream_tls.group = "P-256";
    record.upstream_tls.anchor = "CN=Amazon RDS eu-west-1 Root CA RSA2048 G1";
    record.upstream_tls.anchor_key_sha256 = std::string(64, 'a');
    static const auto leaf = std::make_shared<const tls::CertificateFacts>(
        tls::CertificateFacts{.subject = "CN=orders.cluster-abc.eu-west-1.rds.amazonaws.com",
                              .issuer = "CN=Amazon RDS eu-west-1 Subordinate CA RSA2048 G1.A.4",
                              .sans = {"DNS:orders.cluster-abc.eu-west-1.rds.amazonaws.com"},
                              .serial = "01",
                              .sha256 = std::string(64, 'b'),
                              .end_point = {},
                              .not_before = std::chrono::system_clock::now() - 24h,
                              .not_after = std::chrono::system_clock::now() + 24h * 365,
                              .issuer_key_id = std::string(40, 'c')});
    record.upstream_tls.leaf = leaf;
    return event;
}

/// Its end: a session in clear is looked after while it is open.
Event end_of(Event login) {
    login.kind = EventKind::disconnected;
    return login;
}

class Simulation {
   public:
    explicit Simulation(Settings settings) : settings_(std::move(settings)), inventories_(settings_.proxies) {}

    /// All at once, as after a power failure or a careless deployment.
    void begin() {
        in_parallel([this](std::size_t i) {
            const std::filesystem::path folder = std::filesystem::path(settings_.folder) / std::to_string(i);
            std::filesystem::create_directories(folder);
            const std::string name = "proxy-" + std::to_string(i);
            inventories_[i] = std::make_unique<Inventory>(Inventory::Settings{
                .path = folder / "inventory.db",
                .retention = retention,
                .proxy = {.name = name, .version = "simulated", .listeners = "main 127.0.0.1:6432"}});
        });
        for (std::size_t i = 0; i < inventories_.size(); ++i) {
            const std::filesystem::path folder = std::filesystem::path(settings_.folder) / std::to_string(i);
            inventories_[i]->share(
                std::make_unique<proxy::Fleet>(proxy::Fleet::Settings{.url = settings_.url,
                                                                      .file = folder / "inventory.db",
                                                                      .instance = inventories_[i]->instance(),
                                                                      .retention = retention}));
        }
    }

    /// That each client has logged in on each of the last `days`.
    void history(std::size_t days) {
        in_parallel([&](std::size_t i) {
            for (std::size_t day = days; day-- > 0;) {
                for (std::size_t client = 0; client < settings_.clients; ++client)
                    absorb(i, login(i, client, std::chrono::system_clock::now() - 24h * day));
            }
            inventories_[i]->flush();
        });
    }

    /// As so many proxies do in `seconds` to which `rate` logins come in a second, in all.
    void run(double seconds, double rate) {
        const auto end = Clock::now() + std::chrono::duration<double>(seconds);
        on_threads([&](std::size_t worker) {
            std::mt19937 random(static_cast<unsigned>(worker + 1));
            std::exponential_distribution<double> gap(rate / workers);
            const auto next = [&] {
                return rate > 0
                           ? Clock::now() +
                                 std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random)))
                           : Clock::time_point::max();
            };
            auto login_at = next();
            for (auto now = Clock::now(); now < end; now = Clock::now()) {
                for (; now >= login_at; login_at = next()) {
                    const std::size_t i =
                        random() % ((settings_.proxies + workers - 1 - worker) / workers) * workers + worker;
                    absorb(i, login(i, random() % settings_.clients, std::chrono::system_clock::now()));
                }
                for (std::size_t i = worker; i < inventories_.size(); i += workers)
                    if (Clock::now() >= inventories_[i]->due()) inventories_[i]->flush();
                std::this_thread::sleep_for(5ms);
            }
        });
    }

    /// With their farewells.
    void end() {
        in_parallel([this](std::size_t i) {
            inventories_[i]->flush();
            inventories_[i].reset();
        });
    }

   private:
    void absorb(std::size_t i, const Event& event) {
        inventories_[i]->absorb(event);
        inventories_[i]->absorb(end_of(event));
    }

    template <class Work>
    static void on_threads(const Work& work) {
        std::vector<std::jthread> threads;
        for (std::size_t worker = 0; worker < workers; ++worker)
            threads.emplace_back([&work, worker] { work(worker); });
    }
    template <class Work>
    void in_parallel(const Work& work) {
        on_threads([&](std::size_t worker) {
            for (std::size_t i = worker; i < inventories_.size(); i += workers) work(i);
        });
    }

    const Settings settings_;
    std::vector<std::unique_ptr<Inventory>> inventories_;
};

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Each proxy has some 10 files and sockets open while it copies.
void raise_limit() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 5) {
        std::fputs(
            "usage: pgairlock-fleet URL FOLDER PROXIES CLIENTS\nOrders: begin, history DAYS, run SECONDS "
            "LOGINS_PER_SECOND, end; each is answered with ok and the CPU seconds so far.\n",
            stderr);
        return 2;
    }
    raise_limit();
    spdlog::set_default_logger(spdlog::stderr_logger_mt("fleet"));
    spdlog::set_level(spdlog::level::warn);
    Simulation simulation(
        {.url = argv[1], .folder = argv[2], .proxies = std::stoul(argv[3]), .clients = std::stoul(argv[4])});
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string order;
        double first = 0, second = 0;
        words >> order >> first >> second;
        if (order == "begin") {
            simulation.begin();
        } else if (order == "history") {
            simulation.history(static_cast<std::size_t>(first));
        } else if (order == "run") {
            simulation.run(first, second);
        } else if (order == "end") {
            simulation.end();
        } else {
            throw std::runtime_error("no such order: " + line);
        }
        std::printf("ok %.3f\n", cpu_seconds());
        std::fflush(stdout);
    }
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "pgairlock-fleet: %s\n", error.what());
    return 1;
}
