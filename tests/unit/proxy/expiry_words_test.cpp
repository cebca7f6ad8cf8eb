// What is said of certificates that end.
#include "proxy/server/expiry_words.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::ExpiryMoment;
using proxy::InUse;
using proxy::WallTime;
using tls::Use;

constexpr auto day = 24h;
const WallTime now{day * 20'000};

InUse one_of(Use use, WallTime not_after) {
    tls::CertificateFacts facts;
    facts.subject = "CN=a";
    facts.sha256 = "5e88";
    facts.not_before = now - day * 100;
    facts.not_after = not_after;
    return {{.use = use, .file = "/ca.pem", .certificate = std::make_shared<const tls::CertificateFacts>(facts)}};
}

TEST_CASE("expiry words: an event has whose it is, what for, where it was found, and how long it lasts") {
    InUse anchor = one_of(Use::anchor, now + day * 5 + 1h);
    anchor.upstream = "orders";
    const proxy::Event event = event_of(anchor, ExpiryMoment::week, now);
    CHECK(event.kind == proxy::EventKind::certificate_expiring);
    CHECK(event.record.upstream == "orders");
    CHECK(event.record.listener.empty());
    CHECK(event.record.upstream_tls.leaf == anchor.certificate);
    REQUIRE(event.expiry);
    CHECK(event.expiry->what == "anchor of upstream orders");
    CHECK(event.expiry->file == "/ca.pem");
    CHECK(event.expiry->moment == "week");
    CHECK(event.expiry->days_left == 5);
    const std::string end = tls::to_rfc3339(now + day * 5 + 1h);
    CHECK(event.message == "a trust anchor ends in 5 days, on " + end);
    CHECK(line_of(anchor, event.message) ==
          "upstream \"orders\": CN=a (/ca.pem): a trust anchor ends in 5 days, on " + end);
    CHECK(name_of(anchor) == "anchor upstream orders 5e88");
    CHECK(event_of(one_of(Use::anchor, now - 1h), ExpiryMoment::ended, now).expiry->days_left == -1);
}

TEST_CASE("expiry words: of what a server has shown the line has its address, and what is there to break lines none") {
    InUse shown = one_of(Use::server, now - 1h);
    shown.upstream = "or\nders";
    shown.upstream_addr = "10.0.0.1:5432";
    CHECK(line_of(shown, "x").find('\n') == std::string::npos);
    CHECK(line_of(shown, "x").ends_with(": CN=a (10.0.0.1:5432): x"));
    CHECK(name_of(shown).find('\n') == std::string::npos);
}

TEST_CASE("expiry words: what is said of each kind is its own") {
    std::map<std::string, int> said;
    for (int i = 0; i <= static_cast<int>(Use::server_intermediate); ++i)
        ++said[event_of(one_of(static_cast<Use>(i), now + 1h), ExpiryMoment::day, now).message];
    CHECK(said.size() == static_cast<std::size_t>(Use::server_intermediate) + 1);
}

TEST_CASE("expiry words: of a bundle those that nobody has needed are counted, and the others are not") {
    std::vector<InUse> all;
    const auto add = [&](Use use, WallTime end, bool used) {
        InUse one = one_of(use, end);
        one.used = used;
        (use == Use::client_ca ? one.listener : one.upstream) = "orders";
        all.push_back(std::move(one));
    };
    add(Use::anchor, now - day, false);
    add(Use::anchor, now + day, false);
    add(Use::anchor, now + day * 2, false);
    add(Use::anchor, now + day * 300, false);
    add(Use::anchor, now - day, true);
    add(Use::client_ca, now - day, false);
    add(Use::candidate, now + day * 300, false);
    const auto counted = near_ends_of_others(all, now, day * 30);
    std::vector<std::string> lines;
    for (const auto& [which, ends] : counted) lines.push_back(proxy::line_of(which, ends));
    CHECK(lines == std::vector<std::string>{
                       "listener \"orders\": of the CAs of clients' certificates in /ca.pem that no connection has "
                       "needed so far, 1 have ended and 0 end soon",
                       "upstream \"orders\": of the trust anchors in /ca.pem that no connection has needed so far, "
                       "1 have ended and 2 end soon",
                   });
    CHECK(near_ends_of_others(all, now, 0ms).empty());
}

}  // namespace
