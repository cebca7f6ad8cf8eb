#include "protocol/host_state.hpp"

#include "support/catch.hpp"

namespace {

using protocol::aurora_instances;
using protocol::host_state;
using protocol::TextRow;

std::vector<TextRow> one(TextRow row) { return {std::move(row)}; }

}  // namespace

TEST_CASE("a server says whether it is a standby and takes writes") {
    const auto primary = host_state(one({"f", "off", "default", "f"}));
    REQUIRE(primary);
    CHECK_FALSE(primary->in_recovery);
    CHECK_FALSE(primary->read_only);
    CHECK_FALSE(primary->is_aurora);
    const auto standby = host_state(one({"t", "on", "default", "t"}));
    REQUIRE(standby);
    CHECK(standby->in_recovery);
    CHECK(standby->read_only);
    CHECK(standby->is_aurora);
}

TEST_CASE("a primary that takes no writes is told from a role that may not write") {
    for (const char* source : {"configuration file", "command line", "environment variable", "global", "default"}) {
        CAPTURE(source);
        CHECK(host_state(one({"f", "on", source, "f"}))->read_only);
    }
    for (const char* source : {"user", "database", "database user", "client", "session"}) {
        CAPTURE(source);
        CHECK_FALSE(host_state(one({"f", "on", source, "f"}))->read_only);
        CHECK(host_state(one({"t", "on", source, "f"}))->read_only);  // a standby takes none whoever asks
    }
    CHECK(host_state(one({"f", "on", std::nullopt, "f"}))->read_only);
}

TEST_CASE("what is no answer of a server about itself is none") {
    CHECK_FALSE(host_state({}));
    CHECK_FALSE(host_state(one({})));
    CHECK_FALSE(host_state(one({"f", "off", "default"})));
    CHECK_FALSE(host_state(one({"f", "off", "default", "f", "f"})));
    CHECK_FALSE(host_state(one({"true", "off", "default", "f"})));
    CHECK_FALSE(host_state(one({std::nullopt, "off", "default", "f"})));
    CHECK_FALSE(host_state(one({"f", "no", "default", "f"})));
    CHECK_FALSE(host_state(one({"f", std::nullopt, "default", "f"})));
    CHECK_FALSE(host_state(one({"f", "off", "default", std::nullopt})));
    CHECK_FALSE(host_state(std::vector<TextRow>{{"f", "off", "default", "f"}, {"f", "off", "default", "f"}}));
}

TEST_CASE("an instance of Aurora tells of its cluster, and old news are left out") {
    const auto found = aurora_instances(std::vector<TextRow>{
        {"f", "i-1", "MASTER_SESSION_ID", std::nullopt, "0.5"},
        {"t", "i-2", "0a-b", "12.5", std::nullopt},
        {"f", "i-3", "0a-c", "20", "300.5"},
        {"f", "i-4", "0a-d", "20", "299"},
    });
    REQUIRE(found);
    REQUIRE(found->size() == 3);
    CHECK((*found)[0].id == "i-1");
    CHECK((*found)[0].writer);
    CHECK_FALSE((*found)[0].is_self);
    CHECK((*found)[1].is_self);
    CHECK_FALSE((*found)[1].writer);
    CHECK((*found)[1].lag_ms == Approx(12.5));
    CHECK((*found)[2].id == "i-4");
}

TEST_CASE("ids that are no names of hosts, and answers that are none, are not used") {
    for (const char* id : {"", "-a", "a-", "a.b", "a b", "a/b", "\xff"}) {
        CAPTURE(id);
        const auto found = aurora_instances(one({"f", id, "x", "1", "1"}));
        REQUIRE(found);
        CHECK(found->empty());
    }
    CHECK_FALSE(aurora_instances({}));
    CHECK_FALSE(aurora_instances(one({"f", "i-1", "x", "1"})));
    CHECK_FALSE(aurora_instances(one({"f", std::nullopt, "x", "1", "1"})));
    CHECK(aurora_instances(one({"f", "i-1", "x", "1", "soon"}))->empty());
    CHECK_FALSE(aurora_instances(std::vector<TextRow>(1000, {"f", "i-1", "x", "1", "1"})));
}
