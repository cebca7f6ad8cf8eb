#include "proxy/observation/probe.hpp"

#include <memory>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using config::ProbeKind;
using proxy::NotProbed;
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

    std::optional<ProbeKind> choose() { return choose(source); }
    std::optional<ProbeKind> choose(const proxy::ClientOrigin& from, const Kinds& kinds = all_kinds) {
        return probes.choose(settings, kinds, {from}, now).kind;
    }
    /// Why the next connection would not be probed; nullopt: it might.
    std::optional<NotProbed> why_not(const Kinds& kinds = all_kinds) {
        const auto why = probes.why_not(settings, kinds, {source}, now);
        return why ? std::optional(why->reason) : std::nullopt;
    }
    void ended(const proxy::ClientOrigin& from, const Probes::Result& result) { probes.ended({from}, result, now); }
    /// A connection: the kind that was shown, and what came of it.
    std::optional<ProbeKind> connect(Outcome with_probe, Outcome without = Outcome::accepted) {
        const auto kind = choose();
        ended(source, {kind, kind ? with_probe : without, app});
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

TEST_CASE_METHOD(Fixture, "a client that refuses the real certificate is not probed until it has not for a day") {
    connect(Outcome::accepted);
    ended(source, {std::nullopt, Outcome::refused, {}});
    for (int i = 0; i < 10; ++i) CHECK_FALSE(connect(Outcome::refused).has_value());
    CHECK(why_not() == NotProbed::refuses_real);
    now += 24h;
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a client that always refuses the real certificate does not end probing for others there") {
    connect(Outcome::accepted);
    for (std::uint64_t broken = 100; broken < 150; ++broken)
        probes.ended({source, broken}, {std::nullopt, broken % 2 ? Outcome::refused : Outcome::left, {}}, now);
    CHECK_FALSE(probes.choose(settings, all_kinds, {source, 149}, now).kind.has_value());
    CHECK(probes.choose(settings, all_kinds, {source, 7}, now).kind == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a connection is lost to a probe whatever ended it: budget, grace and cooldown see it") {
    settings.max_per_client = 2;
    connect(Outcome::accepted);
    for (const Outcome loss : {Outcome::lost, Outcome::left}) {
        CHECK(connect(loss) == ProbeKind::untrusted);
        CHECK(why_not() == (loss == Outcome::lost ? NotProbed::grace : NotProbed::budget_used_up));
        CHECK_FALSE(choose().has_value());
        now += settings.grace;
    }
    CHECK(why_not() == NotProbed::budget_used_up);
    const auto why = probes.why_not(settings, all_kinds, {source}, now);
    CHECK(why->until == now - settings.grace + settings.cooldown);
    now = why->until;
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a loss without an alert that says so answers nothing, however often") {
    settings.max_per_client = 10;
    connect(Outcome::accepted);
    for (int i = 0; i < 5; ++i) {
        CHECK(connect(Outcome::lost) == ProbeKind::untrusted);
        now += settings.grace;
    }
}

TEST_CASE_METHOD(Fixture, "all sources together lose no more than max_per_hour, with those that are out") {
    settings.max_per_hour = 3;
    const auto source_number = [](int i) { return proxy::ClientOrigin{"orders", "10.0.1." + std::to_string(i), ""}; };
    for (int i = 0; i < 10; ++i) ended(source_number(i), {std::nullopt, Outcome::accepted, app});
    int shown = 0;
    for (int i = 0; i < 10; ++i) shown += choose(source_number(i)).has_value();
    CHECK(shown == 3);
    for (int i = 0; i < 3; ++i) ended(source_number(i), {ProbeKind::untrusted, Outcome::refused, {}});
    CHECK_FALSE(choose(source_number(5)).has_value());
    const auto why = probes.why_not(settings, all_kinds, {source_number(5)}, now);
    CHECK(why->reason == NotProbed::hourly_budget_used_up);
    CHECK(why->until == now + 1h);
    SECTION("an accepted one costs nothing") {
        settings.max_per_hour = 4;
        for (int i = 4; i < 10; ++i) {
            CHECK(choose(source_number(i)).has_value());
            ended(source_number(i), {ProbeKind::untrusted, Outcome::accepted, app});
        }
    }
    SECTION("for an hour") {
        now += 1h;
        CHECK(choose(source_number(5)).has_value());
    }
    SECTION("or without a limit") {
        settings.max_per_hour = 0;
        CHECK(choose(source_number(5)).has_value());
    }
    SECTION("and a restart forgets none of them") {
        Probes again;
        again.restore(source_number(0), ProbeKind::untrusted,
                      {.shown = 3, .refused = 3, .last_shown = now, .last_refused = now});
        again.ended({source_number(5)}, {std::nullopt, Outcome::accepted, app}, now);
        CHECK(again.why_not(settings, all_kinds, {source_number(5)}, now)->reason == NotProbed::hourly_budget_used_up);
    }
}

TEST_CASE_METHOD(Fixture, "a source with a session open is not probed: its cancel request would be lost") {
    connect(Outcome::accepted);
    {
        const auto session = probes.open_sessions().opened(source, nullptr);
        const auto another = probes.open_sessions().opened(source, nullptr);
        CHECK(why_not() == NotProbed::open_sessions);
        CHECK_FALSE(choose().has_value());
    }
    const auto elsewhere = probes.open_sessions().opened({"orders", "10.0.0.8", ""}, nullptr);
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a session counts for everybody at its address until its process is known") {
    source.client_exe = "/usr/bin/psql";
    connect(Outcome::accepted);
    auto process = std::make_shared<proxy::ProcessOwner>(proxy::Process{}, false);
    const auto session = probes.open_sessions().opened({source.upstream, source.client_addr, ""}, process);
    CHECK(why_not() == NotProbed::open_sessions);
    process->found(17, "/usr/bin/java");
    CHECK_FALSE(why_not().has_value());
    auto own = std::make_shared<proxy::ProcessOwner>(proxy::Process{}, false);
    const auto another = probes.open_sessions().opened({source.upstream, source.client_addr, ""}, own);
    own->found(18, source.client_exe);
    CHECK(why_not() == NotProbed::open_sessions);
}

TEST_CASE_METHOD(Fixture, "a source whose process is still being looked for is not probed") {
    connect(Outcome::accepted);
    const Probes::Visitor visitor{.source = source, .searching = true};
    const auto choice = probes.choose(settings, all_kinds, visitor, now);
    CHECK_FALSE(choice.kind.has_value());
    CHECK(choice.why_not.reason == NotProbed::process_unknown);
}

TEST_CASE_METHOD(Fixture, "strangers make no sources, and many sources do not end probing") {
    connect(Outcome::accepted);
    const auto number = [](int i) { return proxy::ClientOrigin{"orders", "host " + std::to_string(i), ""}; };
    for (int i = 0; i < 20'000; ++i) {
        choose(number(i));
        ended(number(i), {std::nullopt, Outcome::neither, {}});
        ended(number(i), {std::nullopt, Outcome::refused, {}});
        ended(number(i), {std::nullopt, Outcome::accepted, {}});  // a cancel request
    }
    CHECK(choose() == ProbeKind::untrusted);  // was not forgotten
    ended(source, {ProbeKind::untrusted, Outcome::neither, {}});
    for (int i = 0; i < 9'999; ++i) ended(number(i), {std::nullopt, Outcome::accepted, app});
    CHECK_FALSE(why_not().has_value());  // is the last one seen, now
    for (int i = 9'999; i < 20'000; ++i) ended(number(i), {std::nullopt, Outcome::accepted, app});
    CHECK(why_not() == NotProbed::first_connection);
    CHECK(choose(number(19'999)) == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "for every source that is not probed there is a reason") {
    CHECK(why_not() == NotProbed::first_connection);
    connect(Outcome::accepted);
    CHECK_FALSE(why_not().has_value());
    CHECK(why_not(no_kinds) == NotProbed::no_certificate);
    settings.window = {{now + 2h, now + 3h}, {now + 1h, now + 2h}};
    CHECK(why_not() == NotProbed::outside_window);
    CHECK(probes.why_not(settings, all_kinds, {source}, now)->until == now + 1h);
    settings.window.clear();
    settings.fraction = 0;
    CHECK(probes.choose(settings, all_kinds, {source}, now).why_not.reason == NotProbed::fraction);
    settings.fraction = 1;
    choose();
    CHECK(why_not() == NotProbed::another_is_out);
    ended(source, {ProbeKind::untrusted, Outcome::accepted, app});
    CHECK(why_not() == NotProbed::nothing_left);
    settings.enabled = false;
    CHECK(why_not() == NotProbed::off);
}

TEST_CASE_METHOD(Fixture, "what is left to learn may need a certificate that is not there") {
    Kinds only_untrusted;
    only_untrusted[ProbeKind::untrusted] = true;
    connect(Outcome::accepted);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    now += settings.grace;
    CHECK(why_not(only_untrusted) == NotProbed::no_certificate);
    CHECK_FALSE(why_not().has_value());
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
        ended(source, {kind, Outcome::accepted, proxy::ClientNames{client, "shop", ""}});
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
    ended(source, {ProbeKind::untrusted, Outcome::neither, {}});
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
    ended(spent, {std::nullopt, Outcome::accepted, app});
    CHECK_FALSE(choose(spent).has_value());
}

TEST_CASE_METHOD(Fixture, "sources are told apart by upstream, address and executable") {
    source.client_exe = "/usr/bin/psql";
    connect(Outcome::accepted);
    CHECK_FALSE(choose({"orders", "10.0.0.7", "/usr/bin/java"}).has_value());
    CHECK_FALSE(choose({"orders", "10.0.0.8", ""}).has_value());
    CHECK_FALSE(choose({"billing", "10.0.0.7", ""}).has_value());
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "one budget for a client whose executable is found only now and then") {
    settings.max_per_client = 2;
    connect(Outcome::accepted);
    CHECK(connect(Outcome::left) == ProbeKind::untrusted);
    const proxy::ClientOrigin named{source.upstream, source.client_addr, "/usr/bin/java"};
    ended(named, {std::nullopt, Outcome::accepted, app});
    CHECK_FALSE(choose(named).has_value());
    now += settings.grace;
    CHECK_FALSE(choose().has_value());
    CHECK(choose(named) == ProbeKind::untrusted);
    ended(named, {ProbeKind::untrusted, Outcome::refused, {}});
    now += settings.grace;
    CHECK_FALSE(choose(named).has_value());
}

TEST_CASE_METHOD(Fixture, "kinds that are not available are not chosen") {
    connect(Outcome::accepted);
    CHECK_FALSE(choose(source, no_kinds).has_value());
    Kinds wrong_name_only;
    wrong_name_only[ProbeKind::wrong_name] = true;
    CHECK(choose(source, wrong_name_only) == ProbeKind::wrong_name);
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

TEST_CASE_METHOD(Fixture, "nobody is probed while what it costs cannot be written down") {
    connect(Outcome::accepted);
    probes.hold_back(true);
    CHECK_FALSE(choose().has_value());
    probes.hold_back(false);
    CHECK(choose() == ProbeKind::untrusted);
}

TEST_CASE_METHOD(Fixture, "a wall clock that is set renews no budget and uses none up") {
    Probes::Steady steady{std::chrono::hours(100)};
    const auto set = [&](std::chrono::hours by) {
        now += by;
        steady += 1s;
        probes.clocks_are(now, steady);
    };
    settings.grace = 0s;
    settings.max_per_client = 1;
    settings.max_per_hour = 2;
    const auto other = proxy::ClientOrigin{"orders", "10.0.0.8", ""};
    const std::chrono::hours years = 24h * 365 * 12;

    SECTION("after a loss, either way") {
        probes.clocks_are(now, steady);
        connect(Outcome::accepted);
        REQUIRE(connect(Outcome::left).has_value());
        for (const auto by : {years, -years, -years, years}) {
            set(by);
            CHECK(why_not() == NotProbed::budget_used_up);
            steady += settings.cooldown - 1h;
            now += settings.cooldown - 1h;
            CHECK(why_not() == NotProbed::budget_used_up);
            steady -= settings.cooldown - 1h;
            now -= settings.cooldown - 1h;
        }
        steady += settings.cooldown;
        now += settings.cooldown;
        CHECK_FALSE(why_not().has_value());
    }
    SECTION("of all clients") {
        settings.max_per_hour = 1;
        probes.clocks_are(now, steady);
        connect(Outcome::accepted);
        ended(other, {std::nullopt, Outcome::accepted, app});
        REQUIRE(connect(Outcome::left).has_value());
        set(years);
        CHECK_FALSE(choose(other).has_value());
        set(-years);
        CHECK_FALSE(choose(other).has_value());
        now += 1h;
        steady += 1h;
        CHECK(choose(other).has_value());
    }
    SECTION("whoever goes on in clear is known to") {
        settings.max_per_client = 10;
        probes.clocks_are(now, steady);
        connect(Outcome::accepted);
        REQUIRE(connect(Outcome::left).has_value());
        set(years);
        probes.came_in_clear(source, now);
        CHECK(why_not() == NotProbed::falls_back);
    }
    SECTION("whoever comes in clear long after a loss has another reason") {
        settings.max_per_client = 10;
        probes.clocks_are(now, steady);
        connect(Outcome::accepted);
        REQUIRE(connect(Outcome::left).has_value());
        now += 1h;
        steady += 1h;
        set(-years);
        probes.came_in_clear(source, now);
        CHECK(why_not() != NotProbed::falls_back);
    }
}

TEST_CASE_METHOD(Fixture, "whoever was repaired is probed anew") {
    connect(Outcome::accepted);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    now += settings.grace;
    while (connect(Outcome::refused)) now += settings.grace;
    CHECK_FALSE(choose().has_value());
    probes.repaired(source, now);
    CHECK(connect(Outcome::refused) == ProbeKind::untrusted);
    const auto told = now;
    now += settings.grace;
    probes.repaired(source, told);  // said again, as at every heartbeat
    CHECK(connect(Outcome::accepted) != ProbeKind::untrusted);
    proxy::ClientOrigin other = source;
    other.client_addr = "192.0.2.9";
    probes.repaired(other, now);  // nobody knows it
}
