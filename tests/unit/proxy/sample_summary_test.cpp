#include "proxy/command/sample_summary.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::SampledKind;
using proxy::ServerLook;
using proxy::command::SampleSummary;

SampledKind kind(const std::string& application, const std::string& version) {
    return {.client_addr = "10.0.0.9",
            .usename = "ada",
            .datname = "shop",
            .application_name = application,
            .version = version};
}

ServerLook look(std::map<SampledKind, proxy::SampledCount> sessions) {
    return {.upstream = "db", .upstream_addr = "10.1.0.1:5432", .interval = 1500ms, .sessions = std::move(sessions)};
}

}  // namespace

TEST_CASE("what was sampled is shown with those in clear first, and then by the version of TLS") {
    SampleSummary summary;
    summary.add(look({{kind("new", "TLSv1.3"), {.sessions = 1, .seen = 1}},
                      {kind("old", "TLSv1"), {.sessions = 1, .seen = 1}},
                      {kind("", ""), {.sessions = 2, .seen = 2}}}));
    summary.add(look({{kind("", ""), {.sessions = 1, .seen = 3}}}));
    CHECK(summary.looks() == 2);
    CHECK(summary.text() ==
          "TLS       CLIENT    USER  DATABASE  APPLICATION  SESSIONS  SEEN\n"
          "in clear  10.0.0.9  ada   shop      -                   3     5\n"
          "TLSv1     10.0.0.9  ada   shop      old                 1     1\n"
          "TLSv1.3   10.0.0.9  ada   shop      new                 1     1\n"
          "\n5 sessions, of these 3 in clear\n"
          "10.1.0.1:5432: 2 looks\n"
          "A session that was shorter than the 1.5 s between two looks may be missing.\n");
}

TEST_CASE("what was sampled says what it lacks, and prints no terminal's orders") {
    SampleSummary summary;
    ServerLook failed = look({});
    failed.failure = "timeout expired";
    summary.add(failed);
    CHECK(summary.looks() == 0);
    ServerLook partly = look({{kind("\x1b[2J", ""), {.sessions = 1, .seen = 1}}});
    partly.left_out = 2;
    summary.add(partly);
    CHECK(summary.servers().at("10.1.0.1:5432").asked() == 2);
    const std::string text = summary.text();
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("10.1.0.1:5432: 1 look, 1 without an answer, 2 sessions left out") != std::string::npos);
}

TEST_CASE("where nobody was there that is said") {
    SampleSummary summary;
    summary.add(look({}));
    CHECK(summary.text().starts_with("No session but our own was there.\n\n0 sessions, of these 0 in clear\n"));
}
