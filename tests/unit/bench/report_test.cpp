#include <boost/json.hpp>

#include "bench/connect/connect_report.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using bench::Measurement;
using bench::Phase;
using bench::Phases;
using bench::Repetition;
using bench::Report;
using bench::TargetResult;

namespace {

Repetition repetition(bench::Duration total) {
    Repetition made;
    made.p50[Phase::total] = total;
    return made;
}

/// One repetition of ten equal connections.
Measurement measurement(bench::Duration total) {
    Measurement made;
    Phases phases;
    phases[Phase::tcp] = total / 2;
    phases[Phase::total] = total;
    for (int i = 0; i < 10; ++i) made.record(phases);
    made.elapsed = 1s;
    return made;
}

Report report() {
    Report made{.version = "1",
                .started = "now",
                .query = "",
                .load = "closed loop",
                .libpq = false,
                .interrupted = false,
                .targets = {}};
    for (const char* text :
         {"first=host=a user=u password=hidden sslmode=disable", "second=host=b user=u sslmode=require"}) {
        made.targets.push_back({.target = bench::parse_target(text), .tls = {}, .whole = {}, .repetitions = {}});
    }
    made.targets[0].add(measurement(2ms));
    made.targets[1].add(measurement(1ms));
    return made;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the ratio is the median of the repetitions' ratios, with the least and the most") {
    const std::vector<Repetition> first{repetition(10ms), repetition(20ms), repetition(10ms)};
    const std::vector<Repetition> second{repetition(5ms), repetition(30ms), repetition(8ms)};
    const auto found = bench::ratio(second, first, Phase::total);
    REQUIRE(found);
    CHECK(found->median == 0.8);
    CHECK(found->min == 0.5);
    CHECK(found->max == 1.5);
}

TEST_CASE("an even number of ratios has the middle of the two in the middle") {
    const auto found =
        bench::ratio({repetition(10ms), repetition(30ms)}, {repetition(10ms), repetition(10ms)}, Phase::total);
    REQUIRE(found);
    CHECK(found->median == 2.0);
}

TEST_CASE("repetitions that only one target had do not count") {
    CHECK(bench::ratio({repetition(10ms), repetition(1ms)}, {repetition(10ms)}, Phase::total)->median == 1.0);
    CHECK_FALSE(bench::ratio({repetition(10ms)}, {}, Phase::total));
    CHECK_FALSE(bench::ratio({repetition(10ms)}, {repetition(10ms)}, Phase::tls));
}

TEST_CASE("failures are counted by their text, and the number of texts is bounded") {
    Measurement measured;
    for (int i = 0; i < 3; ++i) measured.record_failure("same");
    for (int i = 0; i < 1000; ++i) measured.record_failure("different " + std::to_string(i));
    CHECK(measured.failures.at("same") == 3);
    CHECK(measured.failures.size() <= 51);
    CHECK(measured.failed() == 1003);
}

TEST_CASE("what a server says cannot control a terminal, break JSON or become HTML") {
    Report made = report();
    made.targets[1].whole.record_failure("\x1b[31m<script>\xff\"'&\xc2\x9b\n");
    CHECK(made.failed());
    for (const std::string& text : {to_table(made), to_json(made), to_html(made)}) {
        CHECK_FALSE(contains(text, "\x1b"));
        CHECK_FALSE(contains(text, "\xff"));
        CHECK_FALSE(contains(text, "\xc2\x9b"));
    }
    CHECK_FALSE(contains(to_html(made), "<script>"));
    boost::json::parse(to_json(made));
}

TEST_CASE("printable keeps what can be read") {
    CHECK(bench::printable("Passwort für ähm 数 😀") == "Passwort für ähm 数 😀");
    CHECK(bench::printable("a\tb\x7f") ==
          "a\xef\xbf\xbd"
          "b\xef\xbf\xbd");
}

TEST_CASE("the table is at most 120 columns wide, and compares with the first target") {
    const std::string table = to_table(report());
    std::size_t begin = 0;
    for (std::size_t end; (end = table.find('\n', begin)) != std::string::npos; begin = end + 1)
        CHECK(end - begin <= 121);  // µ is two bytes
    CHECK(contains(table, "p50 / first"));
    CHECK(contains(table, "0.50 (0.50 to 0.50)"));
    CHECK_FALSE(contains(table, "sslrequest"));
}

TEST_CASE("a password is in no report") {
    const Report made = report();
    for (const std::string& text : {to_table(made), to_json(made), to_csv(made), to_html(made)})
        CHECK_FALSE(contains(text, "hidden"));
}

TEST_CASE("a target without any connection has its line in the CSV") {
    Report made = report();
    TargetResult failed{
        .target = bench::parse_target("third=host=c user=u"), .tls = {}, .whole = {}, .repetitions = {}};
    failed.whole.record_failure("refused");
    made.targets.push_back(failed);
    CHECK(contains(to_csv(made), "third,total,0,"));
    CHECK(contains(to_csv(made), "second,total,10,1000.0,"));
}
