#include "protocol/framer.hpp"

#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using protocol::as_bytes;
using protocol::Buffer;
using protocol::Bytes;
using protocol::Framer;
using support::message;

}  // namespace

TEST_CASE("frames come out whole however their bytes arrive, and CopyData without its body") {
    const std::string stream = message('Q', "select") + message('d', std::string(300, 'd')) + message('X', "") +
                               message('Q', std::string(500, 'q'));
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        Framer framer;
        std::vector<std::string> found;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            Bytes bytes = as_bytes(std::string_view(stream).substr(at, piece));
            while (const auto frame = framer.next(bytes)) {
                found.push_back(frame->type + std::to_string(frame->size) + ' ' +
                                std::string(protocol::as_text(frame->body)));
            }
            CHECK(bytes.empty());
        }
        CHECK(found == std::vector<std::string>{"Q6 select", "d300 ", "X0 ", "Q500 " + std::string(500, 'q')});
    }
}

TEST_CASE("no message follows one with a length that none may have") {
    const auto broken = [](char type, std::uint32_t length) {
        Buffer bytes;
        protocol::Writer writer(bytes);
        writer.u8(static_cast<std::uint8_t>(type));
        writer.u32(length);
        const std::string sync = message('S', "");
        writer.bytes(as_bytes(sync));
        Framer framer;
        Bytes rest(bytes);
        const bool found = framer.next(rest).has_value();
        Bytes more = as_bytes(sync);
        const bool later = framer.next(more).has_value();
        if (framer.broken()) CHECK_FALSE((found || later));
        return framer.broken();
    };
    CHECK(broken('Q', 0));
    CHECK(broken('Q', 3));
    CHECK_FALSE(broken('Q', 4));
    CHECK_FALSE(broken('Q', protocol::max_framed_body + 4));
    CHECK(broken('Q', protocol::max_framed_body + 5));
    CHECK(broken('Q', 0xffffffff));
    CHECK_FALSE(broken('d', protocol::max_copy_data + 4));
    CHECK(broken('d', protocol::max_copy_data + 5));
}
