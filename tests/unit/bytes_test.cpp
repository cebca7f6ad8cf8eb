#include "protocol/bytes.hpp"

#include <array>

#include "support/catch.hpp"

namespace {

using protocol::as_text;
using protocol::Buffer;
using protocol::Reader;
using protocol::Writer;

}  // namespace

TEST_CASE("integers are read in network byte order") {
    const Buffer bytes{0x01, 0x02, 0x03, 0xfe, 0xdc, 0xba, 0x98};
    Reader reader(bytes);
    CHECK(reader.u8() == 0x01);
    CHECK(reader.u16() == 0x0203);
    CHECK(reader.u32() == 0xfedcba98);
    CHECK(reader.ok());
    CHECK(reader.rest().empty());
}

TEST_CASE("a read that does not fit gives zero and takes everything after it down with it") {
    const Buffer bytes{1, 2, 3};
    SECTION("u32") {
        Reader reader(bytes);
        CHECK(reader.u32() == 0);
        CHECK_FALSE(reader.ok());
        CHECK(reader.u8() == 0);
        CHECK(reader.rest().empty());
    }
    SECTION("u16 after u16") {
        Reader reader(bytes);
        CHECK(reader.u16() == 0x0102);
        CHECK(reader.ok());
        CHECK(reader.u16() == 0);
        CHECK_FALSE(reader.ok());
    }
    SECTION("take") {
        Reader reader(bytes);
        CHECK(reader.take(4).empty());
        CHECK_FALSE(reader.ok());
        CHECK(reader.take(0).empty());
        CHECK_FALSE(reader.ok());
    }
    SECTION("take of more than could ever be there") {
        Reader reader(bytes);
        CHECK(reader.take(~std::size_t{0}).empty());
        CHECK_FALSE(reader.ok());
    }
    SECTION("any read of nothing") {
        Reader reader({});
        CHECK(reader.ok());
        CHECK(reader.u8() == 0);
        CHECK_FALSE(reader.ok());
    }
}

TEST_CASE("taking exactly what is there is no error") {
    const Buffer bytes{1, 2, 3};
    Reader reader(bytes);
    CHECK(reader.take(3).size() == 3);
    CHECK(reader.take(0).empty());
    CHECK(reader.ok());
}

TEST_CASE("a cstring ends at its NUL, which is consumed") {
    using namespace std::string_literals;
    const std::string bytes = "user\0\0rest"s;
    Reader reader(protocol::as_bytes(bytes));
    CHECK(reader.cstring() == "user");
    CHECK(reader.cstring().empty());
    CHECK(reader.ok());
    CHECK(as_text(reader.rest()) == "rest");
    CHECK(reader.cstring().empty());
    CHECK_FALSE(reader.ok());
    CHECK(reader.rest().empty());
}

TEST_CASE("a writer appends in network byte order and fills in lengths that count themselves") {
    Buffer out{0xaa};
    Writer writer(out);
    writer.u8('R');
    const std::size_t length = writer.begin_length();
    writer.u32(0x01020304);
    writer.cstring("ab");
    writer.bytes(std::array<std::uint8_t, 2>{7, 8});
    writer.end_length(length);
    CHECK(out == Buffer{0xaa, 'R', 0, 0, 0, 13, 1, 2, 3, 4, 'a', 'b', 0, 7, 8});
}

TEST_CASE("a length of nothing is four") {
    Buffer out;
    Writer writer(out);
    writer.end_length(writer.begin_length());
    CHECK(out == Buffer{0, 0, 0, 4});
}

TEST_CASE("what a writer wrote a reader reads") {
    for (const std::uint32_t value : {0u, 1u, 0x7fu, 0x80u, 0xffffu, 0x10000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
        Buffer out;
        Writer(out).u32(value);
        CHECK(Reader(out).u32() == value);
    }
}
