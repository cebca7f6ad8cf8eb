#include "proxy/observation/server_certificates.hpp"

#include <string>

#include "support/catch.hpp"

namespace {

using proxy::CaChange;
using proxy::Event;
using proxy::EventKind;
using proxy::ServerCertificates;
using proxy::ShownCertificate;
using Clock = ServerCertificates::Clock;
using namespace std::chrono_literals;

const auto end_of_2027 = std::chrono::sys_days(std::chrono::year(2027) / 12 / 31);

struct Anchor {
    std::string name;
    std::string key;
};

/// A login at `address`, whose server showed the certificate `sha256`.
Event login(const std::string& sha256, const std::string& issuer, const Anchor& anchor,
            const std::string& address = "10.0.0.2:5432", const std::string& issuer_key_id = "") {
    Event event{.kind = EventKind::connected};
    event.record.session = "5f-1";
    event.record.listener = "legacy";
    event.record.upstream = "orders";
    event.record.upstream_addr = address;
    event.record.upstream_tls.anchor = anchor.name;
    event.record.upstream_tls.anchor_key_sha256 = anchor.key;
    event.record.upstream_tls.group = "X25519";
    event.record.upstream_tls.leaf =
        std::make_shared<const tls::CertificateFacts>(tls::CertificateFacts{.subject = "CN=db",
                                                                            .issuer = issuer,
                                                                            .sans = {},
                                                                            .serial = "01",
                                                                            .sha256 = sha256,
                                                                            .end_point = {},
                                                                            .not_before = {},
                                                                            .not_after = end_of_2027,
                                                                            .issuer_key_id = issuer_key_id});
    return event;
}

const Anchor root{"CN=Root", "aaaaaaaaaaaaaaaaaaaa"};
const Anchor rekeyed{"CN=Root", "bbbbbbbbbbbbbbbbbbbb"};

/// What `event` is news of; it must be.
proxy::CertificateNews told(ServerCertificates& known, const Event& event, Clock::time_point now = {}) {
    const auto learnt = known.learn(event, now);
    REQUIRE(learnt);
    return *learnt;
}

Event news(ServerCertificates& known, const Event& event) { return told(known, event).event; }

CaChange change(ServerCertificates& known, const Event& event) { return ca_change(news(known, event)); }

}  // namespace

TEST_CASE("server certificates: each is news once at each address") {
    ServerCertificates known;
    const Event first = news(known, login("a1", "CN=ca", root));
    CHECK(first.kind == EventKind::upstream_certificate);
    CHECK(first.record.session == "5f-1");
    CHECK(first.record.listener == "legacy");
    CHECK(first.record.upstream == "orders");
    CHECK(first.record.upstream_addr == "10.0.0.2:5432");
    CHECK(first.record.upstream_tls.leaf->sha256 == "a1");
    CHECK_FALSE(first.shown_before);
    CHECK_FALSE(known.learn(login("a1", "CN=ca", root)));
    CHECK(known.learn(login("a1", "CN=ca", root, "10.0.0.3:5432")));
    CHECK_FALSE(known.learn(login("a1", "CN=ca", root, "10.0.0.3:5432")));
}

TEST_CASE("server certificates: a server without TLS has nothing to show") {
    ServerCertificates known;
    Event in_clear = login("a1", "CN=ca", root);
    in_clear.record.upstream_tls = {};
    CHECK_FALSE(known.learn(in_clear));
}

TEST_CASE("server certificates: what was there before is that of the address, or else of the upstream") {
    ServerCertificates known;
    const Anchor old_root{"CN=old root", "1"}, new_root{"CN=new root", "2"};
    CHECK(change(known, login("a1", "CN=old", old_root)) == CaChange::first);
    const Event renewed = news(known, login("a2", "CN=old", old_root));
    CHECK(ca_change(renewed) == CaChange::same);
    REQUIRE(renewed.shown_before);
    CHECK(renewed.shown_before->sha256 == "a1");
    CHECK(renewed.shown_before->issuer == "CN=old");
    CHECK(renewed.shown_before->anchor == "CN=old root");
    CHECK(renewed.shown_before->anchor_key_sha256 == "1");
    CHECK(change(known, login("a3", "CN=new", old_root)) == CaChange::other);
    CHECK(change(known, login("a4", "CN=new", new_root)) == CaChange::other);
    // An address that is new is held against what the upstream showed last.
    CHECK(change(known, login("b1", "CN=new", new_root, "10.0.0.3:5432")) == CaChange::same);
    CHECK(change(known, login("c1", "CN=old", old_root, "10.0.0.4:5432")) == CaChange::other);
    // One that is known is held against its own, whatever others have shown since.
    CHECK(change(known, login("b2", "CN=new", new_root, "10.0.0.3:5432")) == CaChange::same);
    // Chains that are not verified have no anchor, and that is no other one.
    CHECK(change(known, login("b3", "CN=new", {}, "10.0.0.3:5432")) == CaChange::unknown);
    CHECK(change(known, login("b4", "CN=new", new_root, "10.0.0.3:5432")) == CaChange::unknown);
    Event elsewhere = login("d1", "CN=new", new_root);
    elsewhere.record.upstream = "billing";
    CHECK(change(known, elsewhere) == CaChange::first);
}

TEST_CASE("server certificates: another key of the same name is another CA") {
    ServerCertificates known;
    CHECK(change(known, login("a1", "CN=Root", root)) == CaChange::first);
    const Event moved = news(known, login("a2", "CN=Root", rekeyed));
    CHECK(ca_change(moved) == CaChange::other);
    CHECK(moved.shown_before->anchor_key_sha256 == root.key);
    // Where nobody verifies the chain, the issuer's key identifier tells.
    CHECK(change(known, login("b1", "CN=self", {}, "10.0.0.3:5432", "01")) == CaChange::other);
    CHECK(change(known, login("b2", "CN=self", {}, "10.0.0.3:5432", "01")) == CaChange::unknown);
    CHECK(change(known, login("b3", "CN=self", {}, "10.0.0.3:5432", "")) == CaChange::unknown);
    CHECK(change(known, login("b4", "CN=self", {}, "10.0.0.3:5432", "02")) == CaChange::unknown);  // b3 said nothing
    CHECK(change(known, login("b5", "CN=self", {}, "10.0.0.3:5432", "03")) == CaChange::other);
}

TEST_CASE("server certificates: a known certificate that another authority verifies is news, once") {
    ServerCertificates known;
    news(known, login("a1", "CN=ca", root));
    const Event moved = news(known, login("a1", "CN=ca", rekeyed));
    CHECK(ca_change(moved) == CaChange::other);
    CHECK(moved.shown_before->sha256 == "a1");
    CHECK(moved.shown_before->anchor_key_sha256 == root.key);
    // Chains that are cross-signed are verified by this one today and by that one tomorrow.
    CHECK_FALSE(known.learn(login("a1", "CN=ca", root)));
    CHECK_FALSE(known.learn(login("a1", "CN=ca", rekeyed)));
    CHECK(change(known, login("a1", "CN=ca", {"CN=Other", "c"})) == CaChange::other);
}

TEST_CASE("server certificates: whether a chain is verified at all is no change of its authority") {
    ServerCertificates known;
    news(known, login("a1", "CN=ca", {}));
    CHECK_FALSE(known.learn(login("a1", "CN=ca", root)));
    CHECK_FALSE(known.learn(login("a1", "CN=ca", {})));
    CHECK(change(known, login("a1", "CN=ca", rekeyed)) == CaChange::other);
}

TEST_CASE("server certificates: what an inventory knows is no news") {
    const auto stored = [](const std::string& sha256, const std::string& key) {
        return ShownCertificate{.upstream = "orders",
                                .upstream_addr = "10.0.0.2:5432",
                                .sha256 = sha256,
                                .issuer = "CN=ca",
                                .issuer_key_id = "",
                                .anchor = "CN=Root",
                                .anchor_key_sha256 = key};
    };
    ServerCertificates known;
    known.restore({stored("a1", root.key), stored("a2", root.key)});
    CHECK_FALSE(known.learn(login("a1", "CN=ca", root)));
    CHECK_FALSE(known.learn(login("a2", "CN=ca", root)));
    const Event moved = news(known, login("a3", "CN=ca", rekeyed));
    CHECK(ca_change(moved) == CaChange::other);
    CHECK(moved.shown_before->sha256 == "a2");  // the last

    SECTION("a key that an older version did not write down is learnt, and is no news") {
        ServerCertificates older;
        older.restore({stored("a1", "")});
        CHECK_FALSE(older.learn(login("a1", "CN=ca", root)));
        CHECK(ca_change(news(older, login("a1", "CN=ca", rekeyed))) == CaChange::other);
    }
    SECTION("one that is opened later brings no news, and takes none back") {
        known.restore({stored("a3", root.key), stored("a1", root.key)});
        CHECK_FALSE(known.learn(login("a3", "CN=ca", rekeyed)));
        CHECK_FALSE(known.learn(login("a3", "CN=ca", root)));
    }
}

TEST_CASE("server certificates: a server that shows another one each time costs no more memory than the limit") {
    ServerCertificates known;
    news(known, login("used", "CN=ca", root));
    for (std::size_t i = 0; i < 2 * ServerCertificates::max_remembered; ++i) {
        CHECK(known.learn(login("1", "CN=ca", root, "10.0.0.3:" + std::to_string(i))));
        if (i % 1000 == 0) CHECK_FALSE(known.learn(login("used", "CN=ca", root)));
    }
    CHECK_FALSE(known.learn(login("used", "CN=ca", root)));
    CHECK(known.learn(login("1", "CN=ca", root, "10.0.0.3:0")));  // forgotten
}

TEST_CASE("server certificates: a server that goes back to its old CA is told of") {
    ServerCertificates known;
    const auto start = Clock::now();
    const Event old_ca = login("a1", "CN=old", root), new_ca = login("a2", "CN=new", rekeyed);
    told(known, old_ca, start);
    CHECK_FALSE(told(known, new_ca, start).is_back);
    const auto back = told(known, old_ca, start);
    CHECK(back.is_back);
    CHECK(ca_change(back.event) == CaChange::other);
    CHECK(back.event.record.upstream_tls.leaf->sha256 == "a1");
    CHECK(back.event.shown_before->sha256 == "a2");
    CHECK(back.event.count == 0);
    CHECK(
        certificate_news(back).starts_with("moved back from \"CN=new\" (anchor \"CN=Root\", key bbbbbbbbbbbbbbbb) to "
                                           "\"CN=old\" (anchor \"CN=Root\", key aaaaaaaaaaaaaaaa), expires"));
    CHECK_FALSE(known.learn(old_ca, start));

    SECTION("once more within the hour, it is told when that is over, if it is so still") {
        CHECK_FALSE(known.learn(new_ca, start + 1s));
        CHECK_FALSE(known.learn(new_ca, start + 59min));
        const auto again = told(known, new_ca, start + 60min);
        CHECK(again.is_back);
        CHECK(again.event.shown_before->sha256 == "a1");
        CHECK(again.event.count == 0);
        CHECK_FALSE(known.learn(new_ca, start + 61min));
    }
    SECTION("two servers that take turns behind one address are told of once an hour, and what was left out") {
        int news = 0;
        std::uint64_t untold = 0;
        for (int i = 1; i <= 1200; ++i) {  // ten hours
            const auto learnt = known.learn(i % 2 ? new_ca : old_ca, start + i * 30s);
            if (!learnt) continue;
            ++news;
            untold += learnt->event.count;
            CHECK(certificate_news(*learnt).ends_with("; changes before that were too many to be told: " +
                                                      std::to_string(learnt->event.count)));
        }
        CHECK(news >= 9);
        CHECK(news <= 10);
        CHECK(untold + static_cast<unsigned>(news) > 1000);
        CHECK(untold + static_cast<unsigned>(news) <= 1200);
    }
    SECTION("another certificate of the CA of before is none") {
        news(known, login("a3", "CN=old", root));
        CHECK_FALSE(known.learn(old_ca, start + 2h));
    }
    SECTION("to a CA that nobody verifies for a while there is no return") {
        Event unverified = old_ca;
        unverified.record.upstream_tls.anchor.clear();
        unverified.record.upstream_tls.anchor_key_sha256.clear();
        CHECK_FALSE(known.learn(unverified, start + 2h));
        CHECK(told(known, new_ca, start + 2h).is_back);
        CHECK(told(known, unverified, start + 4h).is_back);
    }
}

TEST_CASE("server certificates: a return while nobody looked is told after the start") {
    ServerCertificates known;
    ShownCertificate first{"orders", "10.0.0.2:5432", "a1", "CN=old", "", root.name, root.key};
    ShownCertificate second{"orders", "10.0.0.2:5432", "a2", "CN=new", "", rekeyed.name, rekeyed.key};
    known.restore({first, second});
    const auto back = told(known, login("a1", "CN=old", root));
    CHECK(back.is_back);
    CHECK(back.event.shown_before->sha256 == "a2");
}

TEST_CASE("server certificates: what an inventory knows that is opened late is older than what was learnt since") {
    ServerCertificates known;
    news(known, login("now", "CN=new", rekeyed));
    std::vector<ShownCertificate> older;
    for (std::size_t i = 0; i < ServerCertificates::max_remembered; ++i)
        older.push_back({"orders", "10.0.0.2:5432", std::to_string(i), "CN=old", "", root.name, root.key});
    known.restore(older);
    CHECK_FALSE(known.learn(login("now", "CN=new", rekeyed)));
    CHECK(change(known, login("next", "CN=new", rekeyed)) == CaChange::same);
    CHECK(change(known, login("there", "CN=new", rekeyed, "10.0.0.9:5432")) == CaChange::same);
}

TEST_CASE("server certificates: a server with a certificate for each connection is told of ten times an hour") {
    ServerCertificates known;
    const auto start = Clock::now();
    news(known, login("elsewhere", "CN=ca", root, "10.0.0.9:5432"));
    unsigned news = 0;
    for (unsigned i = 0; i < 10'000; ++i)
        news += known.learn(login(std::to_string(i), "CN=ca", root), start + i * 100ms) ? 1 : 0;
    CHECK(news == ServerCertificates::max_news);
    CHECK(told(known, login("later", "CN=ca", root), start + 61min).event.count == 10'000 - news);
    CHECK_FALSE(known.learn(login("elsewhere", "CN=ca", root, "10.0.0.9:5432")));  // they do not push it out

    SECTION("that it has moved meanwhile is told when it can be") {
        for (int i = 0; i < 10; ++i) known.learn(login("b" + std::to_string(i), "CN=ca", root), start + 61min);
        CHECK_FALSE(known.learn(login("c", "CN=new", rekeyed), start + 62min));
        const auto moved = told(known, login("c", "CN=new", rekeyed), start + 122min);
        CHECK(ca_change(moved.event) == CaChange::other);
        CHECK_FALSE(moved.is_back);
    }
}

TEST_CASE("server certificates: the log says who vouched before and who does now") {
    ServerCertificates known;
    CHECK(certificate_news(told(known, login("a1", "CN=Old", root))) ==
          R"(shows "CN=db" of "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(told(known, login("a2", "CN=Old", root))) ==
          R"(shows another certificate of the same CA, "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), )"
          "expires 2027-12-31T00:00:00Z");
    CHECK(certificate_news(told(known, login("a3", "CN=New", rekeyed))) ==
          R"(moved from "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa) to )"
          R"("CN=New" (anchor "CN=Root", key bbbbbbbbbbbbbbbb), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(told(known, login("a3", "CN=New", root))) ==
          R"(its certificate, of before, is verified by another anchor: )"
          R"("CN=New" (anchor "CN=Root", key bbbbbbbbbbbbbbbb) is now )"
          R"("CN=New" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(told(known, login("a3", "CN=New", root, "10.0.0.3:5432"))) ==
          R"(shows "CN=db" of the CA that 10.0.0.2:5432 shows, "CN=New" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), )"
          "expires 2027-12-31T00:00:00Z");
    CHECK(certificate_news(told(known, login("a4", "CN=\x1b[31m", {}, "10.0.0.2:5432", "0102"))).find('\x1b') ==
          std::string::npos);
    CHECK(certificate_news(told(known, login("b1", "CN=Self", {}, "10.0.0.9:5432", "0102")))
              .ends_with(R"(to "CN=Self" (key identifier 0102, not verified), expires 2027-12-31T00:00:00Z)"));
}
