#include "proxy/observation/probe.hpp"

#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using config::ProbeKind;
using proxy::Probes;
using Outcome = Probes::Outcome;

using Kinds = config::PerProbeKind<bool>;

const Kinds no_kinds;
const Kinds all_kinds = [] {
    Kinds kinds;
    for (const ProbeKind kind : protocol::probe_kinds) kinds[kind] = true;
    return kinds;
}();

const proxy::ClientNames app{.usename = "app", .datname = "shop", .application_name = ""};

/// One source before a listener with probes; time stands still unless a test moves it.
struct Fixture {
    Fixture() {
        settings.enabled = true;
        settings.fraction = 1;
    }

    std::optional<ProbeKind> choose() { return probes.choose(settings, all_kinds, source, now); }
    /// A connection: the kind that was shown, and what came of it.
    std::optional<ProbeKind> connect(Outcome with_probe, Outcome without = Outcome::accepted) {
        const auto kind = choose();
        probes.ended(source, {kind, kind ? with_probe : without, app}, now);
        return kind;
    }

    config::Probe settings;
    Probes probes;
    proxy::ClientOrigin source{"orders", "10.0.0.7", ""};
    Probes::Time now{std::chrono::hours(500'000)};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "probes are off unless enabled") {
    settings.enabled = config::Probe{}.enabled;
    for (int i = 0; i < 10; ++i) CHECK_FALSE(connect(Outcome::refused).has_value());
}

TEST_CASE_METHOD(Fixture, "the first connection of a source sees the real certificate") {
    CHECK_FALSE(connect(Outcome::refused).has_value());
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a source that never completed TLS is not probed") {
    for (int i = 0; i < 10; ++i) CHECK_FALSE(connect(Outcome::refused, Outcome::neither).has_value());
}

TEST_CASE_METHOD(Fixture, "a source that refuses the real certificate is not probed") {
    connect(Outcome::accepted);
    probes.ended(source, {std::nullopt, Outcome::refused, {}}, now);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(connect(Outcome::refused).has_value());
}

TEST_CASE_METHOD(Fixture, "a source that accepts a stranger's certificate is probed once") {
    connect(Outcome::accepted);
    CHECK(connect(Outcome::accepted) == ProbeKind::untrusted);
    for (int i = 0; i < 100; ++i) CHECK_FALSE(connect(Outcome::accepted).has_value());
}

TEST_CASE_METHOD(Fixture,
                 "of several clients at one source each is shown a stranger's certificate until it accepts it") {
    const auto come = [&](const std::string& client) {
        const auto kind = choose();
        probes.ended(source, {kind, Outcome::accepted, proxy::ClientNames{client, "shop", ""}}, now);
        return kind;
    };
    CHECK_FALSE(come("one").has_value());
    CHECK(come("one") == ProbeKind::untrusted);
    CHECK_FALSE(come("two").has_value());
    CHECK(come("one") == ProbeKind::untrusted);
    CHECK(come("two") == ProbeKind::untrusted);
    CHECK_FALSE(come("one").has_value());
    CHECK_FALSE(come("two").has_value());
}

TEST_CASE_METHOD(Fixture, "a source that verifies meets each kind once, with grace between") {
    connect(Outcome::accepted);
    std::vector<ProbeKind> shown;
    for (int second = 0; second < 600; ++second) {
        now += 1s;
        const auto last = shown.size();
        if (const auto kind = connect(Outcome::refused)) shown.push_back(*kind);
        if (shown.size() > last && last > 0) CHECK(second >= static_cast<int>(last) * 60 - 1);
    }
    CHECK(shown == std::vector<ProbeKind>{ProbeKind::untrusted, ProbeKind::candidate, ProbeKind::wrong_name});
}

TEST_CASE_METHOD(Fixture, "a source that leaves without an alert meets each kind twice: once may be a coincidence") {
    connect(Outcome::accepted);
    settings.max_per_client = 10;
    std::vector<ProbeKind> shown;
    for (int minute = 0; minute < 60; ++minute) {
        now += 1min;
        if (const auto kind = connect(Outcome::left)) shown.push_back(*kind);
    }
    CHECK(shown == std::vector<ProbeKind>{ProbeKind::untrusted, ProbeKind::untrusted, ProbeKind::candidate,
                                          ProbeKind::candidate, ProbeKind::wrong_name, ProbeKind::wrong_name});
}

TEST_CASE_METHOD(Fixture, "a source that left once and accepts the next time does not verify") {
    connect(Outcome::accepted);
    CHECK(connect(Outcome::left) == ProbeKind::untrusted);
    now += 60s;
    CHECK(connect(Outcome::accepted) == ProbeKind::untrusted);
    now += 60s;
    CHECK_FALSE(connect(Outcome::accepted).has_value());
}

TEST_CASE_METHOD(Fixture, "the budget counts failures, over all kinds and until the cooldown") {
    settings.max_per_client = 1;
    connect(Outcome::accepted);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    for (int hour = 1; hour < 720; ++hour) {
        now += 1h;
        CHECK_FALSE(connect(Outcome::refused).has_value());
    }
    now += 1h;
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "one probe is out at a time, however many connect at once") {
    connect(Outcome::accepted);
    int out = 0;
    for (int i = 0; i < 10'000; ++i) out += choose().has_value();
    CHECK(out == 1);
    probes.ended(source, {ProbeKind::untrusted, Outcome::neither, {}}, now);
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a source that goes on in clear after a probe is never probed again") {
    connect(Outcome::accepted);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    probes.came_in_clear(source, now + 10ms);
    for (int hour = 0; hour < 2000; ++hour) {
        now += 1h;
        CHECK_FALSE(connect(Outcome::refused).has_value());
    }
}

TEST_CASE_METHOD(Fixture, "coming in clear at another time is no fallback") {
    connect(Outcome::accepted);
    probes.came_in_clear(source, now);
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "probes are made in their windows only") {
    settings.window = {{now + 1h, now + 2h}};
    connect(Outcome::accepted);
    CHECK_FALSE(choose().has_value());
    now += 1h;
    CHECK(connect(Outcome::neither) == ProbeKind::untrusted);
    now += 1h;
    CHECK_FALSE(choose().has_value());
}

TEST_CASE_METHOD(Fixture, "a fraction of connections is probed") {
    settings.fraction = 0.05;
    connect(Outcome::accepted);
    int shown = 0;
    for (int i = 0; i < 10'000; ++i) shown += connect(Outcome::neither).has_value();
    CHECK(shown > 300);
    CHECK(shown < 700);
    settings.fraction = 0;
    for (int i = 0; i < 1000; ++i) CHECK_FALSE(choose().has_value());
}

TEST_CASE_METHOD(Fixture, "the history outlives a restart") {
    probes.restore(source, ProbeKind::untrusted,
                   {.shown = 1, .accepted = 0, .refused = 1, .by_alert = true, .last_shown = now, .last_refused = now});
    connect(Outcome::accepted);
    CHECK_FALSE(choose().has_value());
    now += 60s;
    CHECK(choose() == ProbeKind::candidate);
    proxy::ClientOrigin spent{"orders", "10.0.0.8", ""};
    probes.restore(spent, ProbeKind::untrusted,
                   {.shown = 3, .accepted = 0, .refused = 3, .last_shown = now - 2h, .last_refused = now - 2h});
    probes.ended(spent, {std::nullopt, Outcome::accepted, app}, now);
    CHECK_FALSE(probes.choose(settings, all_kinds, spent, now).has_value());
}

TEST_CASE_METHOD(Fixture, "sources are told apart by upstream, address and executable") {
    source.client_exe = "/usr/bin/psql";
    connect(Outcome::accepted);
    CHECK_FALSE(probes.choose(settings, all_kinds, {"orders", "10.0.0.7", "/usr/bin/java"}, now).has_value());
    CHECK_FALSE(probes.choose(settings, all_kinds, {"orders", "10.0.0.8", ""}, now).has_value());
    CHECK_FALSE(probes.choose(settings, all_kinds, {"billing", "10.0.0.7", ""}, now).has_value());
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "one budget for a client whose executable is found only now and then") {
    settings.max_per_client = 2;
    connect(Outcome::accepted);
    CHECK(connect(Outcome::left) == ProbeKind::untrusted);
    const proxy::ClientOrigin named{source.upstream, source.client_addr, "/usr/bin/java"};
    probes.ended(named, {std::nullopt, Outcome::accepted, app}, now);
    CHECK_FALSE(probes.choose(settings, all_kinds, named, now).has_value());
    now += settings.grace;
    CHECK_FALSE(choose().has_value());
    CHECK(probes.choose(settings, all_kinds, named, now) == ProbeKind::untrusted);
    probes.ended(named, {ProbeKind::untrusted, Outcome::refused, {}}, now);
    now += settings.grace;
    CHECK_FALSE(probes.choose(settings, all_kinds, named, now).has_value());
}

TEST_CASE_METHOD(Fixture, "kinds that are not available are not chosen") {
    connect(Outcome::accepted);
    CHECK_FALSE(probes.choose(settings, no_kinds, source, now).has_value());
    Kinds wrong_name_only;
    wrong_name_only[ProbeKind::wrong_name] = true;
    CHECK(probes.choose(settings, wrong_name_only, source, now) == ProbeKind::wrong_name);
}

TEST_CASE_METHOD(Fixture, "a source is known to fall back also when nobody knows yet which process came in clear") {
    source.client_exe = "/usr/bin/psql";
    connect(Outcome::accepted);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    const proxy::ClientOrigin unknown{source.upstream, source.client_addr, ""};
    SECTION("at the same address") {
        probes.came_in_clear(unknown, now);
        now += settings.grace;
        CHECK_FALSE(connect(Outcome::refused).has_value());
    }
    SECTION("elsewhere") {
        probes.came_in_clear({source.upstream, "10.0.0.8", ""}, now);
        probes.came_in_clear({"other", source.client_addr, ""}, now);
        probes.came_in_clear({source.upstream, source.client_addr, "/usr/bin/other"}, now);
        now += settings.grace;
        CHECK(connect(Outcome::refused).has_value());
    }
}
