// What is told of certificates that servers show, and when it is not told again.
#include "proxy/server/expiry_watch.hpp"

#include <openssl/ssl.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Event;
using proxy::EventKind;
using proxy::ExpiryWatch;

std::shared_ptr<const tls::CertificateFacts> ending(const std::string& name, std::chrono::hours left) {
    tls::CertificateFacts facts;
    facts.subject = "CN=" + name;
    facts.sha256 = name;
    facts.not_before = std::chrono::system_clock::now() - 24h * 365;
    facts.not_after = std::chrono::system_clock::now() + left;
    return std::make_shared<const tls::CertificateFacts>(std::move(facts));
}

Event login(const std::string& upstream, const std::string& address,
            std::shared_ptr<const tls::CertificateFacts> leaf) {
    Event event{.kind = EventKind::connected};
    event.record.upstream = upstream;
    event.record.upstream_addr = address;
    event.record.upstream_tls.leaf = std::move(leaf);
    return event;
}

std::shared_ptr<const proxy::Snapshot> serving(const std::vector<std::string>& upstreams) {
    auto snapshot = std::make_shared<proxy::Snapshot>();
    for (const std::string& name : upstreams) {
        auto route = std::make_shared<proxy::UpstreamRoute>();
        route->settings.name = name;
        snapshot->upstreams.push_back(std::move(route));
    }
    return snapshot;
}

/// A watch, and what it has told.
class Watching {
   public:
    explicit Watching(const support::Folder& folder) {
        watch.begin(folder.file("told"), [this](Event&& event) {
            if (fails_.exchange(false)) throw std::runtime_error("there is no room");
            const std::lock_guard lock(mutex_);
            told_.push_back(std::move(event));
        });
    }
    ~Watching() { watch.end(); }

    /// The next one is not told: whoever is to take it throws.
    void fail_once() { fails_ = true; }

    /// Certificates of `use` that are watched, at a look that has seen what was asked before.
    std::vector<std::string> watched_after(const std::shared_ptr<const std::vector<proxy::InUse>>& before,
                                           tls::Use use) {
        std::shared_ptr<const std::vector<proxy::InUse>> now = watch.watched();
        const auto end = std::chrono::steady_clock::now() + 120s;
        for (; now == before && std::chrono::steady_clock::now() < end; now = watch.watched())
            std::this_thread::sleep_for(2ms);
        REQUIRE(now != before);
        std::vector<std::string> texts;
        for (const proxy::InUse& one : *now) {
            if (one.use == use) texts.push_back(one.certificate->subject + " of " + one.file);
        }
        return texts;
    }

    /// "server CN=a week", in order; waits until there are so many.
    std::vector<std::string> told(std::size_t count) {
        const auto end = std::chrono::steady_clock::now() + 120s;
        while (std::chrono::steady_clock::now() < end && size() < count) std::this_thread::sleep_for(2ms);
        const std::lock_guard lock(mutex_);
        std::vector<std::string> texts;
        for (const Event& event : told_) {
            CHECK(event.kind == EventKind::certificate_expiring);
            texts.push_back(std::string(tls::label(event.expiry->use)) + " " + event.record.upstream_tls.leaf->subject +
                            " " + std::string(event.expiry->moment));
        }
        return texts;
    }
    Event first() {
        const std::lock_guard lock(mutex_);
        return told_.at(0);
    }

    ExpiryWatch watch;

   private:
    std::size_t size() {
        const std::lock_guard lock(mutex_);
        return told_.size();
    }
    std::mutex mutex_;
    std::vector<Event> told_;
    std::atomic<bool> fails_ = false;
};

TEST_CASE("expiry watch: what a server shows is told once, whoever logs in and wherever it is shown") {
    const support::Folder folder;
    Watching watching(folder);
    watching.watch.use(serving({"orders"}));
    const auto leaf = ending("leaf", 24h * 5 + 1h), other = ending("other", 24h * 20);
    for (const char* address : {"10.0.0.1:5432", "10.0.0.2:5432", "10.0.0.1:5432"})
        watching.watch.notice(login("orders", address, leaf));
    watching.watch.notice(login("orders", "10.0.0.3:5432", ending("lasting", 24h * 300)));
    CHECK(watching.told(1) == std::vector<std::string>{"server CN=leaf week"});
    watching.watch.notice(login("orders", "10.0.0.3:5432", other));
    CHECK(watching.told(2) == std::vector<std::string>{"server CN=leaf week", "server CN=other begins"});
    const Event first = watching.first();
    CHECK(first.record.upstream == "orders");
    CHECK(first.record.upstream_addr == "10.0.0.1:5432");
    CHECK(first.expiry->days_left == 5);
    CHECK(first.message.starts_with("the certificate of a server ends in 5 days, on "));
}

TEST_CASE("expiry watch: of a server with another certificate for each login no more than ten are told") {
    const support::Folder folder;
    Watching watching(folder);
    watching.watch.use(serving({"orders"}));
    auto before = watching.watch.watched();
    for (int i = 0; i < 12; ++i) {
        watching.watch.notice(login("orders", "10.0.0.1:5432", ending("leaf " + std::to_string(i), 24h * 5 + 1h)));
        // Each is seen by a look of its own.
        watching.watched_after(before, tls::Use::server);
        before = watching.watch.watched();
    }
    watching.watch.notice(login("orders", "10.0.0.2:5432", ending("other", 24h * 20)));
    const auto told = watching.told(11);
    REQUIRE(told.size() == 11);
    CHECK(told.at(9) == "server CN=leaf 9 week");
    CHECK(told.back() == "server CN=other begins");
}

TEST_CASE("expiry watch: what stands behind a server's certificate is told as that") {
    const support::Folder folder;
    Watching watching(folder);
    watching.watch.use(serving({"orders"}));
    Event event = login("orders", "10.0.0.1:5432", ending("leaf", 24h * 300));
    event.record.upstream_tls.intermediates = std::make_shared<const tls::Intermediates>(
        tls::Intermediates{ending("middle", -1h), ending("upper", 24h * 3000)});
    watching.watch.notice(event);
    CHECK(watching.told(1) == std::vector<std::string>{"server_intermediate CN=middle ended"});
    const auto watched = watching.watch.watched();
    REQUIRE(watched);
    CHECK(watched->size() == 3);
}

TEST_CASE("expiry watch: a restart tells nothing twice, and what is new") {
    const support::Folder folder;
    const auto leaf = ending("leaf", 24h * 20);
    {
        Watching watching(folder);
        watching.watch.use(serving({"orders"}));
        watching.watch.notice(login("orders", "10.0.0.1:5432", leaf));
        CHECK(watching.told(1) == std::vector<std::string>{"server CN=leaf begins"});
    }
    Watching watching(folder);
    watching.watch.use(serving({"orders", "reporting"}));
    watching.watch.notice(login("orders", "10.0.0.1:5432", leaf));
    watching.watch.notice(login("reporting", "10.0.0.1:5432", ending("news", 1h)));
    CHECK(watching.told(1) == std::vector<std::string>{"server CN=news day"});
}

TEST_CASE("expiry watch: of upstreams that are no longer served nothing is told, and nothing after the end") {
    const support::Folder folder;
    Watching watching(folder);
    watching.watch.notice(login("gone", "10.0.0.1:5432", ending("leaf", 1h)));
    watching.watch.use(serving({"orders"}));
    watching.watch.notice(login("orders", "10.0.0.1:5432", ending("other", 1h)));
    CHECK(watching.told(1) == std::vector<std::string>{"server CN=other day"});
    watching.watch.end();
    // Another one is told the same, and looks twice: by then this one would have as well.
    const support::Folder beside;
    Watching other(beside);
    for (const char* name : {"late", "later"}) {
        for (Watching* each : {&watching, &other}) {
            each->watch.notice(login("orders", "10.0.0.2:5432", ending(name, 1h)));
            each->watch.use(serving({"orders"}));
        }
        CHECK(other.told(name == std::string("late") ? 1 : 2).back() == "server CN=" + std::string(name) + " day");
    }
    CHECK(watching.told(1).size() == 1);
}

TEST_CASE("expiry watch: what could not be told is told soon, and the others at once") {
    const support::Folder folder;
    Watching watching(folder);
    watching.fail_once();
    watching.watch.notice(login("orders", "10.0.0.1:5432", ending("first", 1h)));
    watching.watch.notice(login("orders", "10.0.0.2:5432", ending("second", 1h)));
    watching.watch.use(serving({"orders"}));
    CHECK(watching.told(2) == std::vector<std::string>{"server CN=second day", "server CN=first day"});
}

TEST_CASE("expiry watch: what an end came before is told after the restart") {
    const support::Folder folder;
    constexpr std::size_t count = 300;
    std::vector<Event> logins;
    for (std::size_t i = 0; i < count; ++i)
        logins.push_back(login("orders", "10.0.0.1:" + std::to_string(i), ending("n" + std::to_string(i), 1h)));
    std::set<std::string> told;
    const auto watch_until = [&](const auto& is_enough) {
        Watching watching(folder);
        for (const Event& event : logins) watching.watch.notice(event);
        watching.watch.use(serving({"orders"}));
        const auto end = std::chrono::steady_clock::now() + 120s;
        while (!is_enough(watching) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(100us);
        watching.watch.end();
        for (std::string& one : watching.told(0)) told.insert(std::move(one));
    };
    watch_until([](Watching& watching) { return !watching.told(0).empty(); });  // amid its look
    watch_until([&](Watching& watching) {
        std::set<std::string> both = told;
        for (std::string& one : watching.told(0)) both.insert(std::move(one));
        return both.size() == count;
    });
    CHECK(told.size() == count);
}

TEST_CASE("expiry watch: an anchor that an open session has needed is watched on when its bundle is renewed") {
    const support::TemporaryFolder folder;
    const support::KeyPtr key = support::new_key(), leaf_key = support::new_key(), other_key = support::new_key();
    const support::X509Ptr root = support::certificate_for(key, {.common_name = "root", .is_ca = true});
    const support::X509Ptr other = support::certificate_for(other_key, {.common_name = "other", .is_ca = true});
    const support::Issuer by_root{root, key};
    const support::X509Ptr leaf = support::certificate_for(leaf_key, {.common_name = "db"}, &by_root);
    const auto with_bundle = [&](const std::string& name, const std::string& certificates) {
        auto route = std::make_shared<proxy::UpstreamRoute>();
        route->settings.name = "orders";
        route->settings.sslmode = protocol::SslMode::verify_ca;
        route->settings.sslrootcert = {folder.write(name, certificates)};
        std::vector<config::Diagnostic> errors, warnings;
        route->tls = std::make_unique<const tls::UpstreamContext>(route->settings, errors, warnings);
        REQUIRE(errors.empty());
        auto snapshot = std::make_shared<proxy::Snapshot>();
        snapshot->upstreams.push_back(std::move(route));
        return snapshot;
    };
    const auto first = with_bundle("old.pem", support::pem(other) + support::pem(root));
    const support::Folder kept;
    Watching watching(kept);
    watching.watch.use(first);
    CHECK(watching.watched_after(nullptr, tls::Use::anchor).empty());

    const tls::SslCtxPtr server(SSL_CTX_new(TLS_server_method()));
    REQUIRE(SSL_CTX_use_certificate(server.get(), leaf.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(server.get(), leaf_key.get()) == 1);
    const tls::SslPtr far(SSL_new(server.get())), near = first->upstreams.front()->tls->connect("db");
    BIO *near_end = nullptr, *far_end = nullptr;
    REQUIRE(BIO_new_bio_pair(&near_end, 0, &far_end, 0) == 1);
    SSL_set_bio(near.get(), near_end, near_end);
    SSL_set_bio(far.get(), far_end, far_end);
    SSL_set_accept_state(far.get());
    for (int i = 0; i < 10 && !SSL_is_init_finished(near.get()); ++i) {
        SSL_do_handshake(near.get());
        SSL_do_handshake(far.get());
    }
    REQUIRE(SSL_is_init_finished(near.get()));
    first->upstreams.front()->tls->describe(near.get());

    auto before = watching.watch.watched();
    watching.watch.notice(login("orders", "10.0.0.1:5432", ending("leaf", 24h * 300)));
    CHECK(watching.watched_after(before, tls::Use::anchor) ==
          std::vector<std::string>{"CN=root of " + folder.path("old.pem").path});
    for (const char* name : {"new.pem", "newer.pem"}) {
        before = watching.watch.watched();
        watching.watch.use(with_bundle(name, support::pem(root) + support::pem(other)));
        CHECK(watching.watched_after(before, tls::Use::anchor) ==
              std::vector<std::string>{"CN=root of " + folder.path(name).path});
    }
}

TEST_CASE("expiry watch: a file that is damaged, or that cannot be written, only tells again") {
    const support::Folder folder;
    const bool is_folder = GENERATE(false, true);
    if (is_folder) {
        std::filesystem::create_directory(folder.file("told"));
    } else {
        std::ofstream(folder.file("told")) << "no such line\n";
    }
    for (int i = 0; i < 2; ++i) {
        Watching watching(folder);
        watching.watch.use(serving({"orders"}));
        watching.watch.notice(login("orders", "10.0.0.1:5432", ending(is_folder ? "leaf" : std::to_string(i), 1h)));
        CHECK(watching.told(1).size() == 1);
    }
}

}  // namespace
