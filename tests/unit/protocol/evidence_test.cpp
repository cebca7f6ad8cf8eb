#include "protocol/evidence.hpp"

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::facts;
using protocol::ProbeKind;
using protocol::proves;
using protocol::Reaction;
using protocol::Side;
using protocol::SslMode;
using protocol::SslModeInterval;
using protocol::Verifies;

constexpr SslModeInterval anything{};

std::vector<Evidence> all_evidence() {
    std::vector<Evidence> all;
    for (std::size_t i = 0; i < protocol::evidence_count; ++i) all.push_back(static_cast<Evidence>(i));
    return all;
}

std::set<std::string_view> labels(bool (*belongs)(const protocol::Facts&)) {
    std::set<std::string_view> out;
    for (const Evidence evidence : all_evidence()) {
        if (belongs(facts(evidence))) out.insert(label(evidence));
    }
    return out;
}

/// What docs/verification.md says of one label.
struct Documented {
    std::string interval;  ///< "allow .. prefer"
    std::string verifies;
    std::string twice;  ///< the label that it counts as from the second time on; empty: itself
};

std::string trimmed(std::string text) {
    text.erase(0, text.find_first_not_of(' '));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

/// The rows "| `label` | what happened | interval; more | verifies |".
std::map<std::string, Documented> documented() {
    std::map<std::string, Documented> out;
    std::ifstream file(DOCS "/verification.md");
    for (std::string line; std::getline(file, line);) {
        std::vector<std::string> cells;
        std::stringstream row(line);
        for (std::string cell; std::getline(row, cell, '|');) cells.push_back(trimmed(cell));
        const bool is_row = cells.size() == 5 && cells[1].starts_with('`') && cells[1].find('_') != std::string::npos;
        if (!is_row) continue;
        const std::string marker = "twice: as `";
        const auto twice = cells[3].find(marker);
        out[cells[1].substr(1, cells[1].size() - 2)] = {
            .interval = trimmed(cells[3].substr(0, cells[3].find(';'))),
            .verifies = cells[4],
            .twice = twice == std::string::npos
                         ? ""
                         : cells[3].substr(twice + marker.size(), cells[3].size() - twice - marker.size() - 1)};
    }
    return out;
}

std::string in_words(SslModeInterval interval) {
    const std::string min(to_string(interval.min));
    return interval.min == interval.max ? min : min + " .. " + std::string(to_string(interval.max));
}

}  // namespace

TEST_CASE("docs/verification.md says of every kind of evidence what the code takes it for") {
    auto rows = documented();
    for (const Evidence evidence : all_evidence()) {
        const std::string name(label(evidence));
        INFO(name);
        const auto row = rows.find(name);
        REQUIRE(row != rows.end());
        CHECK(in_words(proves(evidence)) == row->second.interval);
        CHECK(to_string(proves(evidence).verifies()) == row->second.verifies);
        const auto repeated = facts(evidence).when_repeated;
        CHECK((repeated ? label(*repeated) : "") == row->second.twice);
        rows.erase(row);
    }
    for (const auto& [name, row] : rows) FAIL_CHECK("docs/verification.md has evidence that there is not: " << name);
}

// One test a row of the table of passive observations (docs/verification.md).

TEST_CASE("a StartupMessage in clear without SSLRequest proves at most allow") {
    CHECK(proves(Evidence::clear_startup) == SslModeInterval{SslMode::disable, SslMode::allow});
}

TEST_CASE("a clear StartupMessage after TLS from that address was refused may be prefer falling back") {
    CHECK(proves(Evidence::clear_startup_after_tls) == SslModeInterval{SslMode::disable, SslMode::prefer});
}

TEST_CASE("a clear StartupMessage at once after the same user was refused over TLS is prefer") {
    CHECK(proves(Evidence::clear_startup_after_tls_login) == SslModeInterval{SslMode::prefer, SslMode::prefer});
}

TEST_CASE("a clear StartupMessage after N proves at most prefer, and more than disable") {
    CHECK(proves(Evidence::clear_startup_after_no) == SslModeInterval{SslMode::allow, SslMode::prefer});
}

TEST_CASE("a close after N is not disable, and may be a client that comes again in clear") {
    CHECK(proves(Evidence::closed_after_no) == SslModeInterval{SslMode::require, SslMode::verify_full});
}

TEST_CASE("a clear StartupMessage after N to the same address proves at most prefer") {
    // A process may have a setting that verifies and one without TLS.
    CHECK(proves(Evidence::clear_startup_after_refusal) == SslModeInterval{SslMode::disable, SslMode::prefer});
    CHECK(proves(Evidence::clear_startup_after_declined) == SslModeInterval{SslMode::disable, SslMode::prefer});
}

TEST_CASE("a StartupMessage through TLS on an undistributed certificate proves at most require") {
    CHECK(proves(Evidence::tls_startup_undistributed).max == SslMode::require);
    CHECK(proves(Evidence::tls_startup_undistributed).verifies() == Verifies::no);
}

TEST_CASE("a StartupMessage through TLS on a distributed certificate proves only that TLS is used") {
    CHECK(proves(Evidence::tls_startup) == SslModeInterval{SslMode::allow, SslMode::verify_full});
    CHECK(proves(Evidence::tls_startup).verifies() == Verifies::unknown);
}

TEST_CASE("a refused certificate proves at least verify-ca") {
    CHECK(proves(Evidence::tls_refused) == SslModeInterval{SslMode::verify_ca, SslMode::verify_full});
    CHECK(proves(Evidence::tls_refused).verifies() == Verifies::yes);
}

TEST_CASE("TLS at once after the same user was refused in clear is allow") {
    CHECK(proves(Evidence::tls_after_clear_refused) == SslModeInterval{SslMode::allow, SslMode::allow});
}

TEST_CASE("TLS that ended at a load balancer proves that it was used, and TLS that may be its own proves nothing") {
    CHECK(proves(Evidence::tls_at_front) == SslModeInterval{SslMode::allow, SslMode::verify_full});
    CHECK(proves(Evidence::tls_at_front).verifies() == Verifies::unknown);
    CHECK(proves(Evidence::tls_perhaps_of_front) == anything);
    CHECK(proves(Evidence::tls_perhaps_of_front).verifies() == Verifies::unknown);
}

TEST_CASE("a silent close, a missing ClientHello and a client certificate prove nothing") {
    CHECK(proves(Evidence::tls_refused_silently) == anything);
    CHECK(proves(Evidence::no_client_hello) == anything);
    CHECK(proves(Evidence::client_certificate) == anything);
}

TEST_CASE("the evidence of one connection narrows together") {
    CHECK(proves(std::vector<Evidence>{}) == anything);
    CHECK(proves({Evidence::tls_startup, Evidence::client_certificate}) == proves(Evidence::tls_startup));
    CHECK(proves({Evidence::tls_startup, Evidence::tls_after_clear_refused}) ==
          proves(Evidence::tls_after_clear_refused));
    CHECK(proves({Evidence::tls_startup_undistributed, Evidence::tls_startup}) ==
          proves(Evidence::tls_startup_undistributed));
}

TEST_CASE("evidence that contradicts what came before is not used") {
    CHECK(proves({Evidence::clear_startup, Evidence::tls_refused}) == proves(Evidence::clear_startup));
}

TEST_CASE("every kind of evidence has a label of its own that can be read back") {
    std::set<std::string_view> all;
    for (const Evidence evidence : all_evidence()) {
        CHECK(all.insert(label(evidence)).second);
        CHECK(protocol::parse_evidence(label(evidence)) == evidence);
        CHECK(proves(evidence).min <= proves(evidence).max);
    }
    CHECK_FALSE(protocol::parse_evidence("").has_value());
    CHECK_FALSE(protocol::parse_evidence("clear").has_value());
}

TEST_CASE("what a client did is one of six") {
    using Labels = std::set<std::string_view>;
    CHECK(labels([](const auto& facts) { return facts.side == Side::clear; }) ==
          Labels{"clear_startup", "clear_startup_after_tls", "clear_startup_after_tls_login", "clear_startup_after_no",
                 "clear_startup_after_declined", "clear_startup_after_refusal", "clear_at_server"});
    CHECK(labels([](const auto& facts) { return facts.side == Side::tls; }) ==
          Labels{"tls_startup", "tls_startup_undistributed", "untrusted_accepted", "wrong_name_accepted",
                 "candidate_accepted", "tls_at_front", "tls_perhaps_of_front", "tls_at_server"});
    CHECK(labels([](const auto& facts) { return facts.side == Side::tls_detail; }) ==
          Labels{"tls_after_clear_refused", "client_certificate"});
    CHECK(labels([](const auto& facts) { return facts.side == Side::refused; }) ==
          Labels{"tls_refused", "untrusted_refused", "wrong_name_refused", "candidate_refused"});
    CHECK(labels([](const auto& facts) { return facts.side == Side::left_silently; }) ==
          Labels{"tls_refused_silently", "untrusted_refused_silently", "wrong_name_refused_silently",
                 "candidate_refused_silently"});
    CHECK(labels([](const auto& facts) { return facts.side == Side::closed_earlier; }) ==
          Labels{"closed_after_no", "no_client_hello", "tls_not_agreed"});
}

TEST_CASE("trust is broken by what happens with the real certificate, and another program may have done it") {
    using Labels = std::set<std::string_view>;
    CHECK(labels([](const auto& facts) { return facts.broken_trust; }) ==
          Labels{"tls_refused", "no_client_hello", "tls_not_agreed"});
    CHECK(labels([](const auto& facts) { return facts.perhaps_anothers; }) ==
          Labels{"tls_refused", "tls_refused_silently", "no_client_hello", "tls_not_agreed"});
}

TEST_CASE("a refusal proves that the client verifies, and nothing else does") {
    for (const Evidence evidence : all_evidence()) {
        INFO(label(evidence));
        CHECK((proves(evidence).min >= SslMode::verify_ca) == (facts(evidence).side == Side::refused));
    }
}

TEST_CASE("a silent refusal counts from the second time on") {
    CHECK(amounts_to(Evidence::tls_refused_silently, 1) == Evidence::tls_refused_silently);
    CHECK(amounts_to(Evidence::tls_refused_silently, 2) == Evidence::tls_refused);
    CHECK(amounts_to(Evidence::clear_startup, 2) == Evidence::clear_startup);
    for (const Evidence evidence : all_evidence()) {
        INFO(label(evidence));
        CHECK(facts(evidence).when_repeated.has_value() == (facts(evidence).side == Side::left_silently));
        CHECK(facts(amounts_to(evidence, 2)).probe == facts(evidence).probe);
        CHECK(facts(amounts_to(evidence, 2)).side != Side::left_silently);
    }
}

TEST_CASE("each reaction to each certificate is evidence of its own") {
    std::vector<std::optional<ProbeKind>> certificates{std::nullopt};
    certificates.insert(certificates.end(), protocol::probe_kinds.begin(), protocol::probe_kinds.end());
    for (const auto& certificate : certificates) {
        const auto side = [&](Reaction reaction) {
            CHECK(facts(evidence_of(reaction, certificate)).probe == certificate);
            return facts(evidence_of(reaction, certificate)).side;
        };
        CHECK(side(Reaction::accepts) == Side::tls);
        CHECK(side(Reaction::refuses) == Side::refused);
        CHECK(side(Reaction::leaves_silently) == Side::left_silently);
    }
}

TEST_CASE("a probe's kind has a name that can be read back") {
    for (const ProbeKind kind : protocol::probe_kinds)
        CHECK(protocol::parse_probe_kind(protocol::to_string(kind)) == kind);
    CHECK_FALSE(protocol::parse_probe_kind("telepathy").has_value());
    CHECK_FALSE(protocol::parse_probe_kind("").has_value());
}
