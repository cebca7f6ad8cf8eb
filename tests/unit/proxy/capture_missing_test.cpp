// What `pgairlock capture status` and `stop` say in words.
#include "proxy/command/capture_missing.hpp"

#include "support/catch.hpp"

namespace {

using proxy::command::ConsoleTable;
using Value = std::optional<std::string>;

std::string missing(Value id, const std::vector<Value>& counts) {
    ConsoleTable table;
    for (const char* name : {"id", "dropped", "left_out", "not_entered", "entries_dropped", "files_removed"})
        table.columns.push_back({.name = name, .is_number = true});
    table.rows.emplace_back(std::vector{std::move(id)});
    table.rows[0].insert(table.rows[0].end(), counts.begin(), counts.end());
    return proxy::command::missing_text(table, 0);
}

}  // namespace

TEST_CASE("everything that a capture knows to lack is said in words, and its absence is no promise") {
    CHECK(missing("1", {"3", "1", "2", "1", "4"}) ==
          "3 packets dropped, 1 session left out, 2 sessions not entered, 1 audit event dropped, "
          "4 older files removed");
    CHECK(missing("1", {"0", "0", "1", "0", "0"}) == "1 session not entered");
    CHECK(missing("1", {"0", "0", "0", "2", "0"}) == "2 audit events dropped");
    CHECK(missing("1", {"0", "0", "0", "0", "1"}) == "1 older file removed");
    CHECK(missing("1", {"0", "0", "0", "0", "0"}) == "nothing known");
    CHECK(missing("1", {"0", std::nullopt, "0", "0", "0"}) == "an unknown number of sessions left out");
    CHECK(missing(std::nullopt, {"0", "0", "0", "0", "0"}).empty());  // it is planned
}
