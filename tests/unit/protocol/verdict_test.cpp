#include "protocol/verdict.hpp"

#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::judge;
using protocol::Observation;
using protocol::Readiness;
using protocol::SslMode;
using protocol::Verdict;

using Range = std::pair<SslMode, SslMode>;

Range range(const Verdict& verdict) { return {verdict.interval.min, verdict.interval.max}; }

/// One observation of each, the first the oldest.
std::vector<Observation> in_turn(std::initializer_list<Evidence> all) {
    std::vector<Observation> observations;
    for (const Evidence evidence : all) {
        observations.push_back({.evidence = evidence,
                                .last_seen = static_cast<std::int64_t>(observations.size() + 1),
                                .count = 1,
                                .possible = false});
    }
    return observations;
}

constexpr Range anything{SslMode::disable, SslMode::verify_full};
constexpr Range verifies{SslMode::verify_ca, SslMode::verify_full};
constexpr Range full{SslMode::verify_full, SslMode::verify_full};
constexpr Range not_verifying{SslMode::allow, SslMode::require};

}  // namespace

TEST_CASE("nothing seen proves nothing") {
    const Verdict verdict = judge({});
    CHECK(range(verdict) == anything);
    CHECK_FALSE(verdict.changed);
    CHECK(verdict.candidate == Readiness::unknown);
    CHECK(verdict.ready_for_rotation() == Readiness::unknown);
}

TEST_CASE("each probe narrows by what was accepted or refused") {
    CHECK(range(judge(in_turn({Evidence::tls_startup}))) == Range{SslMode::allow, SslMode::verify_full});
    CHECK(range(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_accepted}))) == not_verifying);
    CHECK(range(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_refused}))) == verifies);
    CHECK(range(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_refused, Evidence::wrong_name_accepted}))) ==
          Range{SslMode::verify_ca, SslMode::verify_ca});
    CHECK(range(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_refused, Evidence::wrong_name_refused}))) ==
          full);
}

TEST_CASE("a refused name proves verify-full only of a client that accepts the issuer") {
    CHECK(range(judge(in_turn({Evidence::wrong_name_refused}))) == verifies);
    CHECK(range(judge(in_turn({Evidence::wrong_name_refused, Evidence::tls_startup}))) == full);
}

TEST_CASE("leaving the real certificate without an alert is nothing once and a refusal twice") {
    std::vector<Observation> once = in_turn({Evidence::tls_refused_silently});
    CHECK(range(judge(once)) == anything);
    once.front().count = 2;
    CHECK(range(judge(once)) == verifies);
}

TEST_CASE("leaving a probe without an alert is nothing once and a refusal twice") {
    std::vector<Observation> observations =
        in_turn({Evidence::tls_startup, Evidence::untrusted_refused_silently, Evidence::wrong_name_refused_silently});
    CHECK(range(judge(observations)) == Range{SslMode::allow, SslMode::verify_full});
    observations[1].count = 2;
    CHECK(range(judge(observations)) == verifies);
    observations[2].count = 2;
    CHECK(range(judge(observations)) == full);
}

TEST_CASE("what may be another client's is shown and proves nothing") {
    std::vector<Observation> observations = in_turn({Evidence::tls_startup, Evidence::untrusted_refused});
    observations[1].possible = true;
    CHECK(range(judge(observations)) == Range{SslMode::allow, SslMode::verify_full});
}

TEST_CASE("newer evidence that contradicts older counts, and the change is told") {
    const Verdict weaker = judge(in_turn({Evidence::untrusted_refused, Evidence::untrusted_accepted}));
    CHECK(range(weaker) == not_verifying);
    CHECK(weaker.changed);
    const Verdict stronger =
        judge(in_turn({Evidence::clear_startup, Evidence::tls_startup, Evidence::untrusted_refused}));
    CHECK(range(stronger) == verifies);
    CHECK(stronger.changed);
    CHECK_FALSE(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_refused})).changed);
}

TEST_CASE("clear text first and TLS later is a client that was changed, not one with sslmode=allow") {
    const Verdict repaired = judge(in_turn({Evidence::clear_startup, Evidence::tls_startup}));
    CHECK(range(repaired) == Range{SslMode::allow, SslMode::verify_full});
    CHECK(repaired.changed);
    const Verdict broken = judge(in_turn({Evidence::tls_startup, Evidence::clear_startup}));
    CHECK(range(broken) == Range{SslMode::disable, SslMode::allow});
    CHECK(broken.changed);
    const Verdict allow =
        judge(in_turn({Evidence::clear_startup, Evidence::tls_after_clear_refused, Evidence::tls_startup}));
    CHECK(range(allow) == Range{SslMode::allow, SslMode::allow});
    CHECK_FALSE(allow.changed);
}

TEST_CASE("a client that goes on in clear when TLS fails is prefer, whatever it refuses") {
    const Verdict verdict = judge(in_turn({Evidence::tls_refused, Evidence::clear_startup_after_tls}));
    CHECK(range(verdict) == Range{SslMode::disable, SslMode::prefer});
    CHECK(verdict.falls_back);
    CHECK_FALSE(verdict.changed);
    // In whatever order they were seen last.
    CHECK(range(judge(in_turn({Evidence::clear_startup_after_tls, Evidence::tls_refused}))) ==
          Range{SslMode::disable, SslMode::prefer});
    CHECK(range(judge(in_turn({Evidence::clear_startup_after_tls_login, Evidence::tls_startup}))) ==
          Range{SslMode::prefer, SslMode::prefer});
}

TEST_CASE("a client that was never seen with TLS does not fall back from it: another at its address may have") {
    CHECK_FALSE(judge(in_turn({Evidence::clear_startup, Evidence::clear_startup_after_tls})).falls_back);
    CHECK(judge(in_turn({Evidence::tls_startup, Evidence::clear_startup_after_tls})).falls_back);
}

TEST_CASE("ready for the rotation is who accepted the candidate, or accepts anything") {
    const auto ready = [](std::initializer_list<Evidence> all) { return judge(in_turn(all)).ready_for_rotation(); };
    CHECK(ready({Evidence::tls_startup}) == Readiness::unknown);
    CHECK(ready({Evidence::clear_startup}) == Readiness::yes);
    CHECK(ready({Evidence::untrusted_accepted}) == Readiness::yes);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_refused}) == Readiness::no);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_refused_silently}) == Readiness::unknown);
    // It got the new CA meanwhile.
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_refused, Evidence::candidate_accepted}) ==
          Readiness::yes);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_accepted, Evidence::candidate_refused}) ==
          Readiness::no);
}

TEST_CASE("a close after N is at least require, unless the client came again in clear") {
    CHECK(range(judge(in_turn({Evidence::closed_after_no}))) == Range{SslMode::require, SslMode::verify_full});
    const Verdict pgx =
        judge(in_turn({Evidence::tls_startup, Evidence::closed_after_no, Evidence::clear_startup_after_declined}));
    CHECK(range(pgx) == Range{SslMode::allow, SslMode::prefer});
    CHECK_FALSE(pgx.changed);
    CHECK_FALSE(pgx.falls_back);
}
