#include "proxy/observation/reason.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "support/catch.hpp"

namespace {

using protocol::Fault;
using proxy::Reason;

std::vector<Reason> all() {
    std::vector<Reason> out;
    for (std::size_t i = 1; i < proxy::reasons; ++i) out.push_back(static_cast<Reason>(i));
    return out;
}

std::string page(const std::string& name) {
    std::ifstream file(std::string(DOCS) + "/" + name);
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A table of a page, from its first row on.
std::string table(const std::string& text, const std::string& head) {
    const std::size_t begin = text.find(head);
    REQUIRE(begin != std::string::npos);
    return text.substr(begin, text.find("\n\n", begin) + 1 - begin);
}

/// The cells of a row, without the blanks around them.
std::vector<std::string> cells(const std::string& row) {
    std::vector<std::string> out;
    std::istringstream in(row);
    for (std::string cell; std::getline(in, cell, '|');) {
        const std::size_t first = cell.find_first_not_of(' ');
        out.push_back(first == std::string::npos ? "" : cell.substr(first, cell.find_last_not_of(' ') + 1 - first));
    }
    return out;
}

}  // namespace

TEST_CASE("every reason has a label and a sentence of its own row, and a SQLSTATE or none") {
    std::set<std::string_view> labels;
    for (const Reason reason : all()) {
        CAPTURE(label(reason));
        CHECK(labels.insert(label(reason)).second);
        CHECK(label(reason) != "none");
        CHECK_FALSE(sentence(reason).empty());
        CHECK((sqlstate(reason).empty() || sqlstate(reason).size() == 5));
    }
}

TEST_CASE("reasons counts all of them") { CHECK(label(static_cast<Reason>(proxy::reasons)) == label(Reason::none)); }

TEST_CASE("every fault is a reason, by the same words") {
    for (int i = 0;; ++i) {
        const auto fault = static_cast<Fault>(i);
        if (i > 0 && protocol::label(fault) == protocol::label(Fault::none)) break;  // beyond the last
        const Reason reason = proxy::reason(fault);
        CHECK(label(reason) == protocol::label(fault));
        if (fault == Fault::none) continue;
        CHECK(sqlstate(reason) == protocol::sqlstate(fault));
        CHECK(sentence(reason) == protocol::message(fault));
    }
}

TEST_CASE("docs/audit.md: the table of reasons is the code's") {
    std::string expected = "| `reason` | SQLSTATE | in words |\n|---|---|---|\n";
    for (const Reason reason : all()) {
        expected += "| `" + std::string(label(reason)) + "` | " + std::string(sqlstate(reason)) +
                    (sqlstate(reason).empty() ? "| " : " | ") + std::string(sentence(reason)) + " |\n";
    }
    CHECK(table(page("audit.md"), "| `reason` | SQLSTATE | in words |") == expected);
}

TEST_CASE("docs/connection.md: what clients see has the SQLSTATE and the words of its reason") {
    std::istringstream rows(table(page("connection.md"), "| SQLSTATE | message | `reason` | when |"));
    std::string row;
    std::getline(rows, row);
    std::getline(rows, row);
    int checked = 0;
    while (std::getline(rows, row)) {
        const auto cell = cells(row);
        CAPTURE(row);
        REQUIRE(cell.size() >= 5);
        const auto named = [&](Reason reason) { return "`" + std::string(label(reason)) + "`" == cell[3]; };
        const auto reasons = all();
        const auto found = std::find_if(reasons.begin(), reasons.end(), named);
        REQUIRE(found != reasons.end());
        CHECK(cell[1] == sqlstate(*found));
        CHECK((cell[2].starts_with(sentence(*found)) || cell[2].starts_with("(")));
        ++checked;
    }
    CHECK(checked > 10);
}

TEST_CASE("each reason is read by its label, and what is none is not") {
    for (const Reason reason : all()) CHECK(proxy::parse_reason(label(reason)) == reason);
    CHECK_FALSE(proxy::parse_reason("").has_value());
    CHECK_FALSE(proxy::parse_reason("eclipse").has_value());
}
