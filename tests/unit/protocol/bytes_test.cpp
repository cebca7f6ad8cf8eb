#include "protocol/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>

#include "support/catch.hpp"

namespace {

using protocol::as_text;
using protocol::Buffer;
using protocol::Reader;
using protocol::Writer;

/// Aligned so strictly that its memory comes from the operators below, and nobody else's does.
struct alignas(256) Block {
    std::array<std::uint8_t, 256> bytes{};
};
using Blocks = std::vector<Block, protocol::WipingAllocator<Block>>;

/// Memory to be looked at when it is freed.
struct Watch {
    const void* memory = nullptr;
    std::size_t size = 0;
    bool freed = false;
    std::size_t left = 0;  ///< bytes that were not zero
};
thread_local Watch watch;

Blocks secret_blocks(std::size_t count) {
    Blocks blocks(count);  // none on the stack, which AddressSanitizer does not align so strictly
    for (Block& block : blocks) block.bytes.fill(0xaa);
    watch = {.memory = blocks.data(), .size = blocks.capacity() * sizeof(Block)};
    return blocks;
}

}  // namespace

// Those of the standard library, but that they look at watched memory while it is still there.
void* operator new(std::size_t size, std::align_val_t alignment) {
    void* const memory = std::aligned_alloc(static_cast<std::size_t>(alignment), size);
    if (!memory) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory, std::align_val_t) noexcept {
    if (memory != nullptr && memory == watch.memory) {
        const auto* const bytes = static_cast<const std::uint8_t*>(memory);
        watch.freed = true;
        watch.left =
            static_cast<std::size_t>(std::count_if(bytes, bytes + watch.size, [](std::uint8_t b) { return b != 0; }));
    }
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
    operator delete(memory, alignment);
}

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

TEST_CASE("wiping makes zeros of everything, and of nothing beside it") {
    std::array<std::uint8_t, 8> bytes{1, 2, 3, 4, 5, 6, 7, 8};
    protocol::wipe(std::span(bytes).subspan(2, 4));
    CHECK(bytes == std::array<std::uint8_t, 8>{1, 2, 0, 0, 0, 0, 7, 8});
    protocol::wipe({});
}

TEST_CASE("memory is wiped before it is freed") {
    { const Blocks blocks = secret_blocks(4); }
    CHECK(watch.freed);
    CHECK(watch.left == 0);
}

TEST_CASE("memory that a container has grown out of is wiped") {
    Blocks blocks = secret_blocks(4);
    blocks.reserve(5);
    CHECK(watch.freed);
    CHECK(watch.left == 0);
    CHECK(blocks[3].bytes[255] == 0xaa);
}

TEST_CASE("memory that a container no longer uses is wiped with the rest") {
    {
        Blocks blocks = secret_blocks(4);
        blocks.resize(1);
        CHECK_FALSE(watch.freed);
    }
    CHECK(watch.freed);
    CHECK(watch.left == 0);
}

TEST_CASE("a buffer is such a container") {
    CHECK(std::is_same_v<Buffer::allocator_type, protocol::WipingAllocator<std::uint8_t>>);
}
