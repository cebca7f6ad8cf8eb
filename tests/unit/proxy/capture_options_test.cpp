// What CAPTURE START orders, and how an order is said again.
#include "proxy/admin/capture_options.hpp"

#include "support/catch.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using protocol::ErrorResponse;
using Names = std::vector<std::string>;

std::variant<CaptureOrder, ErrorResponse> ordered(const std::string& query) {
    const auto parsed = protocol::parse_console(query);
    INFO(query);
    REQUIRE(std::holds_alternative<std::vector<protocol::ConsoleStatement>>(parsed));
    return capture_order(std::get<std::vector<protocol::ConsoleStatement>>(parsed).at(0));
}

CaptureOrder order_of(const std::string& options) {
    auto order = ordered("CAPTURE START (" + options + ")");
    if (const auto* wrong = std::get_if<ErrorResponse>(&order)) FAIL(options << ": " << wrong->message);
    return std::get<CaptureOrder>(std::move(order));
}

ErrorResponse error_of(const std::string& query) {
    const auto order = ordered(query);
    INFO(query);
    REQUIRE(std::holds_alternative<ErrorResponse>(order));
    return std::get<ErrorResponse>(order);
}

}  // namespace

TEST_CASE("CAPTURE START without options captures everything, redacted, until it is stopped") {
    const auto order = std::get<CaptureOrder>(ordered("CAPTURE START"));
    CHECK(order.payload == protocol::Payload::redacted);
    CHECK_FALSE(order.failures_only);
    CHECK_FALSE(order.allow_secrets);
    CHECK_FALSE(order.keylog);
    CHECK_FALSE(order.lasts);
    CHECK_FALSE(order.max_size);
    CHECK(order.file.empty());
    CHECK(order.filter.users.empty());
}

TEST_CASE("every option of CAPTURE START arrives where it belongs") {
    const CaptureOrder order = order_of(
        "FOR '30m', PAYLOAD full, TRIGGER failures, LISTENER 'legacy', USER 'a', USER 'b', DATABASE 'd', APPLICATION "
        "'psql', CLIENT '10.0.0.0/8', CLIENT '::1', MAX_SIZE '1GiB', KEYLOG");
    CHECK(order.lasts == 30min);
    CHECK(order.payload == protocol::Payload::full);
    CHECK(order.failures_only);
    CHECK(order.filter.listeners == Names{"legacy"});
    CHECK(order.filter.users == Names{"a", "b"});
    CHECK(order.filter.databases == Names{"d"});
    CHECK(order.filter.application_names == Names{"psql"});
    REQUIRE(order.filter.client_addrs.size() == 2);
    CHECK(config::to_string(order.filter.client_addrs[0]) == "10.0.0.0/8");
    CHECK(config::to_string(order.filter.client_addrs[1]) == "::1/128");
    CHECK(order.max_size == 1ULL << 30U);
    CHECK(order.keylog);
    CHECK_FALSE(order.allow_secrets);
}

TEST_CASE("an option of CAPTURE START that is off is off") {
    CHECK_FALSE(order_of("KEYLOG false").keylog);
    CHECK(order_of("KEYLOG on").keylog);
    CHECK_FALSE(order_of("TRIGGER all").failures_only);
    CHECK(order_of("PAYLOAD 'headers'").payload == protocol::Payload::headers);
}

TEST_CASE("an option of CAPTURE START that nobody knows is an error with what was meant") {
    const ErrorResponse error = error_of("CAPTURE START (FOR '1m', USRE 'x')");
    CHECK(error.sqlstate == "42601");
    CHECK(error.message == "CAPTURE START has no option USRE; did you mean USER? (SHOW HELP lists the options)");
    CHECK(error.position == 26);
}

TEST_CASE("an option of CAPTURE START that may be given once is given once") {
    const ErrorResponse error = error_of("CAPTURE START (FOR '1m', for '2m')");
    CHECK(error.sqlstate == "42601");
    CHECK(error.message == "conflicting or redundant options: FOR");
    CHECK(error.position == 26);
}

TEST_CASE("a value of CAPTURE START that is wrong is an error at its option") {
    for (const char* const option :
         {"FOR 'soon'", "FOR '0s'", "FOR", "FOR 30", "PAYLOAD all", "PAYLOAD", "TRIGGER never", "USER ''", "USER",
          "LISTENER ''", "CLIENT 'somewhere'", "CLIENT '10.0.0.0/33'", "MAX_SIZE 'big'", "MAX_SIZE '0B'",
          "MAX_SIZE '10B'", "MAX_SIZE '65535B'", "KEYLOG maybe"}) {
        const ErrorResponse error = error_of("CAPTURE START (" + std::string(option) + ")");
        CHECK(error.sqlstate == "22023");
        CHECK(error.position == 16);
    }
    CHECK(error_of("CAPTURE START (PAYLOAD redcated)").message ==
          "PAYLOAD: \"redcated\" is not one of headers, redacted, full; did you mean \"redacted\"?");
}

TEST_CASE("TO takes the name of a file, and no way out of the folder") {
    CHECK(std::get<CaptureOrder>(ordered("CAPTURE START TO 'a-b_c.pcapng'")).file == "a-b_c.pcapng");
    for (const char* const name : {"", ".", "..", ".hidden", "a/b", "/etc/passwd", "../x", "a b", "a\nb", "\xc3\xbc"}) {
        CHECK(error_of("CAPTURE START TO '" + std::string(name) + "'").sqlstate == "22023");
    }
    CHECK(error_of("CAPTURE START TO '" + std::string(201, 'a') + "'").position == 18);
    // A ring would take it for one of its own.
    CHECK(error_of("CAPTURE START TO 'capture-20250101T000000Z-1.pcapng'").sqlstate == "22023");
}

TEST_CASE("what an order says of itself gives the same order again") {
    for (const std::string text :
         {"PAYLOAD redacted", "FOR '90s', PAYLOAD headers, TRIGGER failures, KEYLOG",
          "FOR '2h', PAYLOAD full, LISTENER 'l', USER 'O''Brien', USER 'b', DATABASE 'd', APPLICATION 'a', CLIENT "
          "'10.0.0.0/8', CLIENT '2001:db8::/32', MAX_SIZE '1GiB'",
          "FOR '1500ms', PAYLOAD redacted, MAX_SIZE '65537B'"}) {
        CHECK(options_text(order_of(text)) == text);
    }
    CHECK(options_text({}) == "PAYLOAD redacted");
}
