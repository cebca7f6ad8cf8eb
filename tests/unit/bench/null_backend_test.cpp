#include "bench/null/null_backend.hpp"

#include "bench/null/copy_data.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace std::string_literals;
using bench::CopyData;
using bench::NullBackend;
using bench::parse_query;
using bench::Query;
using protocol::as_bytes;
using protocol::Buffer;
using protocol::Bytes;
using protocol::Framer;
using support::message;
using support::types;

std::string query(const std::string& text) { return message('Q', text + '\0'); }

/// What `backend` answers to `text`; COPY TO STDOUT is not streamed.
std::string answer(NullBackend& backend, const std::string& text) {
    Bytes bytes = as_bytes(text);
    Buffer out;
    backend.answer(bytes, out);
    const std::string found = types(out);
    CHECK(found.find('!') == std::string::npos);
    return found;
}

}  // namespace

TEST_CASE("CopyData are messages of 8 KiB that carry exactly the bytes asked for") {
    for (const std::uint64_t bytes :
         {0ULL, 1ULL, 8186ULL, 8187ULL, 8188ULL, 16ULL * 8187, 16ULL * 8187 + 1, 1000000ULL}) {
        CopyData data(bytes);
        Framer framer;
        std::uint64_t payload = 0;
        std::size_t shorter = 0;
        for (Bytes piece = data.next(); !piece.empty(); piece = data.next()) {
            while (const auto frame = framer.next(piece)) {
                CHECK(frame->type == 'd');
                payload += frame->size;
                if (frame->size + protocol::message_header_size != bench::copy_message_size) ++shorter;
            }
        }
        CHECK(payload == bytes);
        CHECK(shorter == (bytes % 8187 == 0 ? 0 : 1));
    }
}

TEST_CASE("two forms of COPY are understood, and every other query is one row") {
    const auto kind = [](std::string_view text) { return parse_query(text).kind; };
    CHECK(parse_query("COPY 123 BYTES TO STDOUT").bytes == 123);
    CHECK(kind("COPY 123 BYTES TO STDOUT") == Query::Kind::copy_out);
    CHECK(kind(" copy\t0\nbytes to stdout ;") == Query::Kind::copy_out);
    CHECK(kind("COPY FROM STDIN") == Query::Kind::copy_in);
    CHECK(kind("copy lines (a, b) from stdin with (freeze on);") == Query::Kind::copy_in);
    CHECK(kind("copy lines to stdout") == Query::Kind::wrong_copy);
    CHECK(kind("COPY -1 BYTES TO STDOUT") == Query::Kind::wrong_copy);
    CHECK(kind("COPY 99999999999999999999 BYTES TO STDOUT") == Query::Kind::wrong_copy);
    CHECK(kind("COPY 1 BYTES TO STDOUT NOW") == Query::Kind::wrong_copy);
    CHECK(kind("copy") == Query::Kind::wrong_copy);
    for (const char* text : {"", ";", "select 1", "cop", "copying", "table copy"})
        CHECK(kind(text) == Query::Kind::row);
}

TEST_CASE("a query is answered with one row, also behind others") {
    NullBackend backend;
    CHECK(answer(backend, query("select 1")) == "TDCZ");
    CHECK(answer(backend, query("a") + query("b")) == "TDCZTDCZ");
    CHECK(answer(backend, message('Q', "no NUL")) == "TDCZ");
    CHECK_FALSE(backend.over());
}

TEST_CASE("what comes behind a COPY TO STDOUT waits until the copy has been sent") {
    NullBackend backend;
    const std::string text = query("COPY 5 BYTES TO STDOUT") + query("select 1");
    Bytes bytes = as_bytes(text);
    Buffer out;
    backend.answer(bytes, out);
    CHECK(types(out) == "H");
    REQUIRE(backend.copy_out() == 5);
    CHECK(bytes.size() == query("select 1").size());
    out.clear();
    backend.copied_out(out);
    backend.answer(bytes, out);
    CHECK(types(out) == "cCZTDCZ");
    CHECK_FALSE(backend.copy_out());
}

TEST_CASE("COPY FROM STDIN ends with the number of bytes that came") {
    NullBackend backend;
    CHECK(answer(backend, query("COPY FROM STDIN")) == "G");
    const std::string text = message('d', "12345") + message('H', "") + message('d', "678") + message('c', "");
    Bytes bytes = as_bytes(text);
    Buffer out;
    backend.answer(bytes, out);
    CHECK(protocol::as_text(out) == message('C', "COPY 8\0"s) + message('Z', "I"));
    CHECK(answer(backend, query("COPY FROM STDIN") + message('d', "1") + message('f', "no more\0"s)) == "GEZ");
    CHECK(answer(backend, message('d', "late") + message('c', "") + query("")) == "TDCZ");
}

TEST_CASE("the extended protocol is refused up to Sync") {
    NullBackend backend;
    CHECK(answer(backend, message('P', "\0select 1\0\0\0"s) + message('B', "") + message('E', "")) == "E");
    CHECK(answer(backend, query("skipped") + message('S', "")) == "Z");
    CHECK(answer(backend, query("heard")) == "TDCZ");
}

TEST_CASE("Terminate closes without a word, and nonsense with an error") {
    NullBackend leaving;
    CHECK(answer(leaving, message('X', "") + query("unheard")).empty());
    CHECK(leaving.over());
    NullBackend unknown;
    CHECK(answer(unknown, message('?', "what") + query("unheard")) == "E");
    CHECK(unknown.over());
    NullBackend broken;
    CHECK(answer(broken, "Q\xff\xff\xff\xff") == "E");
    CHECK(broken.over());
    NullBackend in_copy;
    CHECK(answer(in_copy, query("COPY FROM STDIN") + query("not now")) == "GE");
    CHECK(in_copy.over());
}
