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
};

AddressResult address(const std::string& at, const Shown& shown = {"a1", "CN=RDS Root 2019 CA,O=Amazon"}) {
    AddressResult result{.upstream = "orders", .host = "db-2", .address = at};
    tls::CertificateFacts facts{};
    facts.subject = "CN=db-2";
    facts.issuer = shown.anchor;
    facts.sha256 = shown.leaf;
    result.leaf = std::make_shared<const tls::CertificateFacts>(facts);
    result.chain.push_back({.certificate = facts, .sent = true});
    result.encrypted = true;
    result.holds = shown.holds;
    if (shown.holds) result.anchor = shown.anchor;
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
const Shown next_root{"b1", "CN=RDS Root RSA2048 G1,O=Amazon"};

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
    const auto renewed = changes.since_last({address("10.0.0.2:5432", {"b2", next_root.anchor})});
    REQUIRE(renewed.size() == 1);
    CHECK(renewed[0].kind == Kind::certificate);
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
    CHECK(name_of("CN=") == "");
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
