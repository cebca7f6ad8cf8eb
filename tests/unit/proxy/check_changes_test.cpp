#include "proxy/command/check/changes.hpp"
#include "proxy/command/check/watch.hpp"
#include "support/catch.hpp"

namespace {

using proxy::command::AddressResult;
using proxy::command::CandidateVerdict;
using proxy::command::Change;
using proxy::command::change_line;
using proxy::command::Changes;
using Kind = Change::Kind;

struct Shown {
    std::string leaf;
    std::string anchor;
    bool holds = true;
    std::string key = "1111111111111111aaaa";  // of the anchor
    std::string issuer{};                      // empty: the anchor itself
    std::string issuer_key_id{};
};

AddressResult address(const std::string& at, const Shown& shown = {"a1", "CN=RDS Root 2019 CA,O=Amazon"}) {
    AddressResult result{.upstream = "orders", .host = "db-2", .address = at};
    tls::CertificateFacts facts{};
    facts.subject = "CN=db-2";
    facts.issuer = shown.issuer.empty() ? shown.anchor : shown.issuer;
    facts.issuer_key_id = shown.issuer_key_id;
    facts.sha256 = shown.leaf;
    result.leaf = std::make_shared<const tls::CertificateFacts>(facts);
    result.chain.push_back({.certificate = facts, .sent = true});
    result.encrypted = true;
    result.holds = shown.holds;
    if (shown.holds) result.anchor = shown.anchor;
    if (shown.holds) result.anchor_key_sha256 = shown.key;
    if (!shown.holds) result.verify_error = "unable to get local issuer certificate";
    return result;
}

AddressResult away(const std::string& at, const std::string& error = "timeout expired") {
    return {.upstream = "orders", .host = "db-2", .address = at, .error = error};
}

AddressResult with_candidate(AddressResult result, bool ok, bool judged = true) {
    result.candidate = CandidateVerdict{.ok = ok, .judged = judged, .reason = ok ? "" : "no issuer"};
    return result;
}

std::vector<std::string> texts(const std::vector<Change>& changes) {
    std::vector<std::string> all;
    for (const Change& change : changes) all.push_back(place_of(change) + ": " + change.text);
    return all;
}

using Texts = std::vector<std::string>;
const Shown next_root{"b1", "CN=RDS Root RSA2048 G1,O=Amazon", true, "2222222222222222bbbb"};
const std::string place = "10.0.0.2:5432";

/// What is said when a server that showed the one shows the other.
Texts told(const Shown& before, const Shown& now) {
    Changes changes;
    changes.since_last({address(place, before)});
    Texts all;
    for (const Change& change : changes.since_last({address(place, now)})) all.push_back(change.text);
    return all;
}

}  // namespace

TEST_CASE("check changes: what is seen first, and what stays, is no change", "[check]") {
    Changes changes;
    CHECK(changes.since_last({address("10.0.0.2:5432"), away("10.0.0.3:5432")}).empty());
    CHECK(changes.since_last({address("10.0.0.2:5432"), away("10.0.0.3:5432")}).empty());
}

TEST_CASE("check changes: another authority is a move, another certificate of the same is none", "[check]") {
    Changes changes;
    changes.since_last({address("10.0.0.2:5432")});
    const auto moved = changes.since_last({address("10.0.0.2:5432", next_root)});
    CHECK(texts(moved) == Texts{R"(db-2 (10.0.0.2): moved from "RDS Root 2019 CA" to "RDS Root RSA2048 G1")"});
    CHECK(
        (moved[0].kind == Kind::moved && moved[0].from == "RDS Root 2019 CA" && moved[0].to == "RDS Root RSA2048 G1"));
    const auto renewed = changes.since_last({address("10.0.0.2:5432", {"b2", next_root.anchor, true, next_root.key})});
    REQUIRE(renewed.size() == 1);
    CHECK(renewed[0].kind == Kind::certificate);
}

TEST_CASE("check changes: an authority of the same name and another key is another one", "[check]") {
    const Shown before{"a1", "CN=Corp Root CA", true, "1111111111111111aaaa"};
    const Shown now{"b1", "CN=Corp Root CA", true, "2222222222222222bbbb"};
    CHECK(told(before, now) ==
          Texts{R"(moved from "Corp Root CA" (key 1111111111111111) to "Corp Root CA" (key 2222222222222222))"});
    Changes changes;
    changes.since_last({address(place, before)});
    const auto moved = changes.since_last({address(place, now)});
    REQUIRE(moved.size() == 1);
    CHECK((moved[0].from_key == before.key && moved[0].to_key == now.key));
    CHECK(change_line(moved[0], {}, true)
              .ends_with(R"("from":"Corp Root CA","to":"Corp Root CA",)"
                         R"("from_anchor_key_sha256":"1111111111111111aaaa",)"
                         R"("to_anchor_key_sha256":"2222222222222222bbbb"})"));
}

TEST_CASE("check changes: an authority with the same common name in another name is another one", "[check]") {
    CHECK(told({"a1", "CN=X,O=Old"}, {"b1", "CN=X,O=New"}) == Texts{R"(moved from "CN=X,O=Old" to "CN=X,O=New")"});
    CHECK(told({"a1", "CN=X,O=Old", false}, {"b1", "CN=X,O=New", false}) ==
          Texts{R"(moved from "CN=X,O=Old" to "CN=X,O=New")"});
}

TEST_CASE("check changes: an authority that was renewed under its key is the same", "[check]") {
    const Shown now{.leaf = "b1", .anchor = "CN=Corp Root CA"};
    CHECK(told({.leaf = "a1", .anchor = "CN=Corp Root CA"}, now) ==
          Texts{R"(another certificate of "Corp Root CA", until 1970-01-01T00:00:00Z)"});
}

TEST_CASE("check changes: where an anchor is the same, its issuing authorities are told apart", "[check]") {
    const Shown before{.leaf = "a1", .anchor = "CN=Root", .issuer = "CN=Issuing 1", .issuer_key_id = "0a"};
    CHECK(told(before, {.leaf = "b1", .anchor = "CN=Root", .issuer = "CN=Issuing 2", .issuer_key_id = "0b"}) ==
          Texts{R"(moved from "Root" (issuer "CN=Issuing 1") to "Root" (issuer "CN=Issuing 2"))"});
    CHECK(told(before, {.leaf = "b1", .anchor = "CN=Root", .issuer = "CN=Issuing 1", .issuer_key_id = "0b"}) ==
          Texts{R"(moved from "Root" (key identifier 0a) to "Root" (key identifier 0b))"});
}

TEST_CASE("check changes: what nobody could verify is compared once somebody can", "[check]") {
    const Shown now{"b1", "CN=Corp Root CA", true, "2222222222222222bbbb"};
    const Shown unknown{"b1", "CN=Corp Root CA", false};
    const std::string moved =
        R"(moved from "Corp Root CA" (key 1111111111111111) to "Corp Root CA" (key 2222222222222222))";
    const auto texts_of = [](const std::vector<Change>& changes) {
        Texts all;
        for (const Change& change : changes) all.push_back(change.text);
        return all;
    };
    Changes changes;
    changes.since_last({address(place, {"a1", "CN=Corp Root CA"})});
    CHECK(texts_of(changes.since_last({address(place, unknown)})) ==
          Texts{R"(another certificate of "Corp Root CA", until 1970-01-01T00:00:00Z)",
                "does not verify any more: unable to get local issuer certificate"});
    CHECK(changes.since_last({address(place, unknown)}).empty());
    CHECK(texts_of(changes.since_last({address(place, now)})) == Texts{moved, "verifies now"});
    CHECK(changes.since_last({address(place, now)}).empty());
    // The same certificate by another anchor, since the operator has other files now: no move.
    const Shown by_another{"b1", "CN=Corp Root CA", true, "3333333333333333cccc"};
    CHECK(changes.since_last({address(place, by_another)}).empty());
}

TEST_CASE("check changes: a move while nobody could look is told once it is back", "[check]") {
    Changes changes;
    changes.since_last({address("10.0.0.2:5432")});
    CHECK(texts(changes.since_last({away("10.0.0.2:5432")})) == Texts{"db-2 (10.0.0.2): unreachable: timeout expired"});
    CHECK(changes.since_last({away("10.0.0.2:5432")}).empty());
    CHECK(texts(changes.since_last({away("10.0.0.2:5432", "Connection refused")})) ==
          Texts{"db-2 (10.0.0.2): unreachable: Connection refused"});
    CHECK(texts(changes.since_last({address("10.0.0.2:5432", next_root)})) ==
          Texts{"db-2 (10.0.0.2): back", R"(db-2 (10.0.0.2): moved from "RDS Root 2019 CA" to "RDS Root RSA2048 G1")"});
}

TEST_CASE("check changes: that a certificate ceases to verify, and verifies again, is told", "[check]") {
    Changes changes;
    changes.since_last({address("10.0.0.2:6000")});
    CHECK(texts(changes.since_last({address("10.0.0.2:6000", {"b1", "CN=Unknown", false})})) ==
          Texts{R"(db-2 (10.0.0.2:6000): moved from "RDS Root 2019 CA" to "Unknown")",
                "db-2 (10.0.0.2:6000): does not verify any more: unable to get local issuer certificate"});
    CHECK(texts(changes.since_last({address("10.0.0.2:6000", {"b1", "CN=Unknown"})})) ==
          Texts{"db-2 (10.0.0.2:6000): verifies now"});
}

TEST_CASE("check changes: of the candidate only verdicts count, not that nobody could look", "[check]") {
    Changes changes;
    changes.since_last({with_candidate(address("10.0.0.2:5432"), false)});
    CHECK(changes.since_last({with_candidate(address("10.0.0.2:5432"), false, false)}).empty());
    CHECK(texts(changes.since_last({with_candidate(address("10.0.0.2:5432"), true)})) ==
          Texts{"db-2 (10.0.0.2): candidate suffices now"});
    CHECK(texts(changes.since_last({with_candidate(address("10.0.0.2:5432"), false)})) ==
          Texts{"db-2 (10.0.0.2): candidate does not suffice any more: no issuer"});
}

TEST_CASE("check changes: addresses appear and go, but not while their host cannot be looked up", "[check]") {
    Changes changes;
    changes.since_last({address("10.0.0.2:5432")});
    CHECK(texts(changes.since_last({address("10.0.0.2:5432"), address("10.0.0.3:5432", next_root)})) ==
          Texts{R"(db-2 (10.0.0.3): appeared: OK, "RDS Root RSA2048 G1")"});
    CHECK(texts(changes.since_last({away("", "Temporary failure in name resolution")})) ==
          Texts{"db-2: no address: Temporary failure in name resolution"});
    CHECK(texts(changes.since_last({address("10.0.0.3:5432", next_root)})) ==
          Texts{"db-2: has addresses again", "db-2 (10.0.0.2): gone"});
}

TEST_CASE("check changes: a server that ceases to speak TLS is told of", "[check]") {
    Changes changes;
    changes.since_last({address("10.0.0.2:5432")});
    AddressResult clear{.upstream = "orders", .host = "db-2", .address = "10.0.0.2:5432", .holds = true};
    CHECK(texts(changes.since_last({clear})) == Texts{"db-2 (10.0.0.2): does not speak TLS any more"});
    CHECK(texts(changes.since_last({address("10.0.0.2:5432")})) == Texts{"db-2 (10.0.0.2): speaks TLS now"});
}

TEST_CASE("check changes: the name of an authority is its common name as it was meant", "[check]") {
    AddressResult result = address("10.0.0.2:5432");
    const auto name_of = [&](const std::string& subject) {
        result.anchor = subject;
        return authority_of(result);
    };
    CHECK(name_of("O=Amazon,CN=Root\\, the first,C=US") == "Root, the first");
    CHECK(name_of("O=CN\\,CN=no") == "O=CN\\,CN=no");
    CHECK(name_of("O=Acme") == "O=Acme");
    CHECK(name_of("O=Acme+CN=Root\\C3\\BC") == "Root\xC3\xBC");
    CHECK(name_of("CN=") == "CN=");
    CHECK(name_of("CN=a\\") == "a\\");
}

TEST_CASE("check changes: a line has its time in UTC, and nothing that a terminal would obey", "[check]") {
    const auto now = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + std::chrono::hours(2) +
                     std::chrono::minutes(14) + std::chrono::seconds(7);
    const Change change{.kind = Kind::gone, .upstream = "orders", .host = "db\x1b[2J", .text = "gone"};
    const std::string line = change_line(change, now, false);
    CHECK(line.starts_with("02:14:07 db"));
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(
        change_line({.kind = Kind::back, .upstream = "o", .host = "h", .address = "a:1", .text = "back", .ok = true},
                    now, true) ==
        R"({"ts":"2026-03-01T02:14:07Z","change":"back","upstream":"o","host":"h","address":"a:1","ok":true,"message":"back"})");
}
