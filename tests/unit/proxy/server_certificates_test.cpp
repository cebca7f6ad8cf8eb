#include "proxy/observation/server_certificates.hpp"

#include <string>

#include "support/catch.hpp"

namespace {

using proxy::CaChange;
using proxy::Event;
using proxy::EventKind;
using proxy::ServerCertificates;
using proxy::ShownCertificate;

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
Event news(ServerCertificates& known, const Event& event) {
    const auto learnt = known.learn(event);
    REQUIRE(learnt);
    return *learnt;
}

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
    CHECK(change(known, login("b3", "CN=new", {}, "10.0.0.3:5432")) == CaChange::same);
    CHECK(change(known, login("b4", "CN=new", new_root, "10.0.0.3:5432")) == CaChange::same);
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
    CHECK(change(known, login("b2", "CN=self", {}, "10.0.0.3:5432", "01")) == CaChange::same);
    CHECK(change(known, login("b3", "CN=self", {}, "10.0.0.3:5432", "")) == CaChange::same);
    CHECK(change(known, login("b4", "CN=self", {}, "10.0.0.3:5432", "02")) == CaChange::same);  // b3 said nothing
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
        CHECK(known.learn(login(std::to_string(i), "CN=ca", root)));
        if (i % 1000 == 0) CHECK_FALSE(known.learn(login("used", "CN=ca", root)));
    }
    CHECK_FALSE(known.learn(login("used", "CN=ca", root)));
    CHECK(known.learn(login("0", "CN=ca", root)));  // forgotten
}

TEST_CASE("server certificates: the log says who vouched before and who does now") {
    ServerCertificates known;
    CHECK(certificate_news(news(known, login("a1", "CN=Old", root))) ==
          R"(shows "CN=db" of "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(news(known, login("a2", "CN=Old", root))) ==
          R"(shows another certificate of the same CA, "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), )"
          "expires 2027-12-31T00:00:00Z");
    CHECK(certificate_news(news(known, login("a3", "CN=New", rekeyed))) ==
          R"(moved from "CN=Old" (anchor "CN=Root", key aaaaaaaaaaaaaaaa) to )"
          R"("CN=New" (anchor "CN=Root", key bbbbbbbbbbbbbbbb), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(news(known, login("a3", "CN=New", root))) ==
          R"(its certificate, of before, is verified by another anchor: )"
          R"("CN=New" (anchor "CN=Root", key bbbbbbbbbbbbbbbb) is now )"
          R"("CN=New" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), expires 2027-12-31T00:00:00Z)");
    CHECK(certificate_news(news(known, login("a3", "CN=New", root, "10.0.0.3:5432"))) ==
          R"(shows "CN=db" of the CA that 10.0.0.2:5432 shows, "CN=New" (anchor "CN=Root", key aaaaaaaaaaaaaaaa), )"
          "expires 2027-12-31T00:00:00Z");
    CHECK(certificate_news(news(known, login("a4", "CN=\x1b[31m", {}, "10.0.0.2:5432", "0102"))).find('\x1b') ==
          std::string::npos);
    CHECK(certificate_news(news(known, login("b1", "CN=Self", {}, "10.0.0.9:5432", "0102")))
              .ends_with(R"(to "CN=Self" (key identifier 0102, not verified), expires 2027-12-31T00:00:00Z)"));
}
