// Values of the console in PostgreSQL's formats, byte by byte.
#include "protocol/console_value.hpp"

#include "support/catch.hpp"

namespace {

using protocol::ColumnType;

std::string binary(ColumnType type, std::string_view text) {
    protocol::Buffer out;
    if (!protocol::append_binary(out, type, text)) return "none";
    return std::string(protocol::as_text(out));
}

std::string text_of(std::uint32_t oid, std::string_view bytes) {
    return protocol::binary_as_text(oid, protocol::as_bytes(bytes)).value_or("none");
}

using namespace std::string_literals;

}  // namespace

TEST_CASE("times are written as PostgreSQL writes them, in UTC") {
    CHECK(protocol::timestamp_text(0) == "1970-01-01 00:00:00+00");
    CHECK(protocol::timestamp_text(1'796'000'000'500'000) == "2026-11-30 00:53:20.5+00");
    CHECK(protocol::timestamp_text(-1) == "1969-12-31 23:59:59.999999+00");
    CHECK(protocol::timestamp_text(951'782'400'000'000) == "2000-02-29 00:00:00+00");
}

TEST_CASE("times are read with and without their parts") {
    const std::int64_t noon = 1'767'268'800'000'000;
    CHECK(protocol::parse_timestamp("2026-01-01 12:00") == noon);
    CHECK(protocol::parse_timestamp("2026-01-01T12:00:00Z") == noon);
    CHECK(protocol::parse_timestamp("2026-01-01 14:00:00.000+02") == noon);
    CHECK(protocol::parse_timestamp("2026-01-01 06:30:00-05:30") == noon);
    CHECK(protocol::parse_timestamp("2026-01-01") == noon - 43'200'000'000);
    CHECK(protocol::parse_timestamp(protocol::timestamp_text(noon + 1)) == noon + 1);
    for (const char* const none : {"", "now", "2026", "2026-13-01", "2026-01-00", "2026-01-01 25:00",
                                   "2026-01-01 12:00x", "2026-1-1", "2026-01-01 12:00+"}) {
        CAPTURE(none);
        CHECK_FALSE(protocol::parse_timestamp(none));
    }
}

TEST_CASE("intervals are read and written") {
    CHECK(protocol::parse_interval("5 minutes") == 300'000'000);
    CHECK(protocol::parse_interval("1 day 02:00:00.5") == 93'600'500'000);
    CHECK(protocol::parse_interval("-1 hour") == -3'600'000'000);
    CHECK(protocol::parse_interval("90s") == 90'000'000);
    CHECK(protocol::parse_interval("1.5 hours") == 5'400'000'000);
    CHECK_FALSE(protocol::parse_interval(""));
    CHECK_FALSE(protocol::parse_interval("5 parsecs"));
    CHECK_FALSE(protocol::parse_interval("minutes"));
    CHECK_FALSE(protocol::parse_interval("999999999 years 5"));
    CHECK(protocol::interval_text(93'600'500'000) == "1 day 02:00:00.5");
    CHECK(protocol::interval_text(0) == "00:00:00");
    CHECK(protocol::interval_text(-90'000'000) == "-00:01:30");
    CHECK(protocol::interval_text(2 * 86'400'000'000) == "2 days");
    for (const std::int64_t length : {1L, -1L, 93'600'500'000L, -93'600'500'000L})
        CHECK(protocol::parse_interval(protocol::interval_text(length)) == length);
}

TEST_CASE("values in binary are those of PostgreSQL's send functions") {
    CHECK(binary(ColumnType::boolean, "t") == "\1"s);
    CHECK(binary(ColumnType::boolean, "f") == "\0"s);
    CHECK(binary(ColumnType::int4, "258") == "\0\0\1\2"s);
    CHECK(binary(ColumnType::int4, "-1") == "\xff\xff\xff\xff"s);
    CHECK(binary(ColumnType::int8, "258") == "\0\0\0\0\0\0\1\2"s);
    CHECK(binary(ColumnType::float8, "1") == "\x3f\xf0\0\0\0\0\0\0"s);
    CHECK(binary(ColumnType::text, "abc") == "abc");
    CHECK(binary(ColumnType::name, "") == "");
    CHECK(binary(ColumnType::timestamptz, "2000-01-01 00:00:00.000001+00") == "\0\0\0\0\0\0\0\1"s);
    CHECK(binary(ColumnType::interval, "1 day 00:00:00.000002") == "\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0"s);
    CHECK(binary(ColumnType::inet, "10.1.2.3") == "\2\x20\0\4\x0a\1\2\3"s);
    CHECK(binary(ColumnType::inet, "::1") == "\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"s);
}

TEST_CASE("what is no value of its type has no binary form, and nothing is appended") {
    protocol::Buffer out;
    CHECK_FALSE(protocol::append_binary(out, ColumnType::int4, "x"));
    CHECK_FALSE(protocol::append_binary(out, ColumnType::inet, "unix"));
    CHECK_FALSE(protocol::append_binary(out, ColumnType::timestamptz, "soon"));
    CHECK_FALSE(protocol::append_binary(out, ColumnType::numeric, "1"));
    CHECK(out.empty());
}

TEST_CASE("parameters in binary are read, and those of the wrong size are not") {
    CHECK(text_of(16, "\1"s) == "t");
    CHECK(text_of(21, "\xff\xfe"s) == "-2");
    CHECK(text_of(23, "\0\0\1\0"s) == "256");
    CHECK(text_of(20, "\0\0\0\0\0\0\0\7"s) == "7");
    CHECK(text_of(701, "\x3f\xf8\0\0\0\0\0\0"s) == "1.5");
    CHECK(text_of(25, "abc") == "abc");
    CHECK(text_of(0, "abc") == "abc");
    CHECK(text_of(1184, "\0\0\0\0\0\0\0\0"s) == "2000-01-01 00:00:00+00");
    CHECK(text_of(869, "\2\x20\0\4\x0a\1\2\3"s) == "10.1.2.3");
    CHECK(text_of(23, "\0\0\1"s) == "none");
    CHECK(text_of(16, "") == "none");
    CHECK(text_of(1700, "\0\0\0\0"s) == "none");
    CHECK(text_of(869, "\2"s) == "none");
}
