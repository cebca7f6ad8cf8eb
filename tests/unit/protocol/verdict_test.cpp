#include "protocol/verdict.hpp"

#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::judge;
using protocol::Observation;
using protocol::Readiness;
using protocol::SslMode;
using protocol::Verdict;
using protocol::Verifies;

using Range = std::pair<SslMode, SslMode>;

Range range(const Verdict& verdict) { return {verdict.interval.min, verdict.interval.max}; }

/// One observation of each, the first the oldest.
std::vector<Observation> in_turn(std::initializer_list<Evidence> all) {
    std::vector<Observation> observations;
    for (const Evidence evidence : all) {
        const auto when = static_cast<std::int64_t>(observations.size() + 1);
        observations.push_back(
            {.evidence = evidence, .first_seen = when, .last_seen = when, .count = 1, .possible = false});
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
    CHECK_FALSE(verdict.mixed);
    CHECK(verdict.verifies == Verifies::unknown);
    CHECK(verdict.ready_for_rotation == Readiness::unknown);
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

TEST_CASE("evidence that contradicts itself leaves all of it possible, and the worst of it counts") {
    for (const auto& order : {in_turn({Evidence::untrusted_refused, Evidence::untrusted_accepted}),
                              in_turn({Evidence::untrusted_accepted, Evidence::untrusted_refused})}) {
        const Verdict verdict = judge(order);
        CHECK(range(verdict) == Range{SslMode::allow, SslMode::verify_full});
        CHECK(verdict.verifies == Verifies::no);
        CHECK(verdict.mixed);
        CHECK(verdict.changed_at == 0);
    }
    const Verdict repaired =
        judge(in_turn({Evidence::clear_startup, Evidence::tls_startup, Evidence::untrusted_refused}));
    CHECK(range(repaired) == anything);
    CHECK(repaired.newest == protocol::SslModeInterval{SslMode::verify_ca, SslMode::verify_full});
    CHECK(repaired.verifies == Verifies::no);
    CHECK(repaired.mixed);
    CHECK_FALSE(judge(in_turn({Evidence::tls_startup, Evidence::untrusted_refused})).mixed);
}

TEST_CASE("what a client did not do for long enough is left out, and until when is told") {
    constexpr std::int64_t month = 30;
    std::vector<Observation> observations =
        in_turn({Evidence::clear_startup, Evidence::tls_startup, Evidence::untrusted_refused});
    const auto at = [&](std::int64_t last_seen) {
        observations[1].last_seen = last_seen;
        return judge(observations, {.consistent_after = month});
    };
    CHECK(at(2 + month - 1).mixed);
    const Verdict changed = at(2 + month);
    CHECK_FALSE(changed.mixed);
    CHECK(changed.changed_at == 1);
    CHECK(changed.verifies == Verifies::yes);
    CHECK(range(changed) == verifies);
    // TLS that was seen beside clear text all the time says the same once clear text has stopped.
    observations[1].first_seen = 0;
    CHECK(at(1 + month).verifies == Verifies::yes);
    // Once, a month later, is not for a month.
    CHECK(judge({{.evidence = Evidence::untrusted_accepted, .first_seen = 1, .last_seen = 1},
                 {.evidence = Evidence::untrusted_refused, .first_seen = 1 + month, .last_seen = 1 + month}},
                {.consistent_after = month})
              .mixed);
    // Never, where nobody said how long.
    observations[1].last_seen = 1'000'000;
    CHECK(judge(observations).mixed);
}

TEST_CASE("clear text and TLS are two programs, unless clear text was refused to one with sslmode=allow") {
    for (const auto& order : {in_turn({Evidence::clear_startup, Evidence::tls_startup}),
                              in_turn({Evidence::tls_startup, Evidence::clear_startup})}) {
        CHECK(range(judge(order)) == anything);
        CHECK(judge(order).mixed);
        CHECK(judge(order).verifies == Verifies::no);
    }
    const Verdict allow =
        judge(in_turn({Evidence::clear_startup, Evidence::tls_after_clear_refused, Evidence::tls_startup}));
    CHECK(range(allow) == Range{SslMode::allow, SslMode::allow});
    CHECK_FALSE(allow.mixed);
}

TEST_CASE("a client that goes on in clear when TLS fails is prefer, whatever it refuses") {
    const Verdict verdict = judge(in_turn({Evidence::tls_refused, Evidence::clear_startup_after_tls}));
    CHECK(range(verdict) == Range{SslMode::disable, SslMode::prefer});
    CHECK(verdict.falls_back);
    CHECK_FALSE(verdict.mixed);
    // A refusal that came after all its clear text was no reason for it.
    const Verdict later = judge(in_turn({Evidence::clear_startup_after_tls, Evidence::tls_refused}));
    CHECK_FALSE(later.falls_back);
    CHECK(later.mixed);
    CHECK(later.verifies == Verifies::no);
    // Refused, and went on, and so on: in whatever order they were seen last.
    auto again = in_turn({Evidence::clear_startup_after_tls, Evidence::tls_refused});
    again[1].first_seen = 0;
    CHECK(judge(again).falls_back);
    CHECK(judge(in_turn({Evidence::clear_startup_after_refusal})).falls_back);
    CHECK(range(judge(in_turn({Evidence::clear_startup_after_tls_login, Evidence::tls_startup}))) ==
          Range{SslMode::prefer, SslMode::prefer});
}

TEST_CASE("a client that was never seen to refuse does not fall back: another at its address may have") {
    CHECK_FALSE(judge(in_turn({Evidence::clear_startup, Evidence::clear_startup_after_tls})).falls_back);
    CHECK_FALSE(judge(in_turn({Evidence::tls_startup, Evidence::clear_startup_after_tls})).falls_back);
}

TEST_CASE("ready for the rotation is who accepted the candidate, or accepts anything") {
    const auto ready = [](std::initializer_list<Evidence> all) { return judge(in_turn(all)).ready_for_rotation; };
    CHECK(ready({Evidence::tls_startup}) == Readiness::unknown);
    CHECK(ready({Evidence::clear_startup}) == Readiness::yes);
    CHECK(ready({Evidence::untrusted_accepted}) == Readiness::yes);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_accepted}) == Readiness::yes);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_refused}) == Readiness::no);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_refused_silently}) == Readiness::unknown);
    CHECK(ready({Evidence::untrusted_refused, Evidence::candidate_accepted, Evidence::candidate_refused}) ==
          Readiness::no);
    // Who goes on in clear where no TLS is offered may verify where it is.
    CHECK(ready({Evidence::clear_startup_after_no}) == Readiness::unknown);
    CHECK(ready({Evidence::clear_startup_after_declined}) == Readiness::unknown);
    CHECK(ready({Evidence::clear_startup_after_no, Evidence::tls_startup}) == Readiness::unknown);
    CHECK(ready({Evidence::clear_startup_after_no, Evidence::untrusted_accepted}) == Readiness::yes);
    // Of two programs with one name that may verify, one accepted it.
    CHECK(ready({Evidence::untrusted_accepted, Evidence::untrusted_refused, Evidence::candidate_accepted}) ==
          Readiness::yes);
}

TEST_CASE("refused and then accepted: it got the new CA, or one of two has it, and time tells") {
    auto observations =
        in_turn({Evidence::untrusted_refused, Evidence::candidate_refused, Evidence::candidate_accepted});
    const auto ready = [&](std::int64_t consistent_after) {
        return judge(observations, {.consistent_after = consistent_after}).ready_for_rotation;
    };
    CHECK(ready(0) == Readiness::unknown);
    CHECK(ready(30) == Readiness::unknown);
    observations[2].last_seen = observations[2].first_seen + 30;
    CHECK(ready(30) == Readiness::yes);
    observations[2].first_seen = observations[1].first_seen - 1;  // now one, now the other
    CHECK(ready(30) == Readiness::no);
}

TEST_CASE("a close after N is at least require, unless the client came again in clear") {
    CHECK(range(judge(in_turn({Evidence::closed_after_no}))) == Range{SslMode::require, SslMode::verify_full});
    const Verdict pgx =
        judge(in_turn({Evidence::tls_startup, Evidence::closed_after_no, Evidence::clear_startup_after_declined}));
    CHECK(range(pgx) == Range{SslMode::allow, SslMode::prefer});
    CHECK_FALSE(pgx.mixed);
    CHECK_FALSE(pgx.falls_back);
}

TEST_CASE("what servers list in clear proves no mode beyond prefer, and readiness for nothing") {
    const Verdict clear = judge(in_turn({Evidence::clear_at_server}));
    CHECK(range(clear) == Range{SslMode::disable, SslMode::prefer});
    CHECK(clear.verifies == Verifies::no);
    CHECK(clear.ready_for_rotation == Readiness::unknown);
    const Verdict tls = judge(in_turn({Evidence::tls_at_server}));
    CHECK(range(tls) == Range{SslMode::allow, SslMode::verify_full});
    CHECK(tls.verifies == Verifies::unknown);
    CHECK(tls.ready_for_rotation == Readiness::unknown);
    const Verdict both = judge(in_turn({Evidence::clear_at_server, Evidence::tls_at_server}));
    CHECK(both.mixed);
    CHECK(range(both) == anything);
    CHECK(both.ready_for_rotation == Readiness::unknown);
}
