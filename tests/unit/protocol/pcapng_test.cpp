#include "protocol/pcapng.hpp"

#include "support/catch.hpp"
#include "support/words.hpp"

namespace {

using namespace protocol;
using support::words;

}  // namespace

TEST_CASE("a section begins with the byte order, version 1.0 and no length") {
    Buffer out;
    pcapng::append_section(out, "", "");
    CHECK(words(out) ==
          "0a0d0d0a 1c000000"   // section header block of 28 bytes
          " 4d3c2b1a 01000000"  // byte order, version
          " ffffffff ffffffff"  // a section of any length
          " 1c000000");         // its length again; no options, so no end of options
}

TEST_CASE("a section says who wrote it, where, and a comment") {
    Buffer out;
    pcapng::append_section(out, "pgairlock", "Linux", "abcd");
    CHECK(words(out) ==
          "0a0d0d0a 44000000 4d3c2b1a 01000000 ffffffff ffffffff"
          " 03000500 4c696e75 78000000"           // shb_os, 5 bytes and 3 of padding
          " 04000900 70676169 726c6f63 6b000000"  // shb_userappl
          " 01000400 61626364"                    // opt_comment, no padding
          " 00000000 44000000");                  // end of options
}

TEST_CASE("an interface has packets that begin with IP, times in nanoseconds and no limit") {
    Buffer out;
    pcapng::append_interface(out, "main client leg", "at 10.0.0.1:6432");
    CHECK(words(out) ==
          "01000000 48000000"
          " 65000000 00000000"                             // LINKTYPE_RAW, packets of any size
          " 02000f00 6d61696e 20636c69 656e7420 6c656700"  // if_name
          " 03001000 61742031 302e302e 302e313a 36343332"  // if_description
          " 09000100 09000000"                             // if_tsresol: 10^-9
          " 00000000 48000000");
    Buffer bare;
    pcapng::append_interface(bare, "", "");
    CHECK(words(bare) == "01000000 20000000 65000000 00000000 09000100 09000000 00000000 20000000");
}

TEST_CASE("a packet has its time in two halves, both lengths, padding and its direction") {
    Buffer out;
    const std::uint8_t bytes[]{0xde, 0xad, 0xbe, 0xef, 0x05};
    pcapng::append_packet(
        out, {.interface = 1, .time = 0x1122334455667788, .bytes = bytes, .direction = pcapng::Direction::outbound});
    CHECK(words(out) ==
          "06000000 34000000 01000000"
          " 44332211 88776655"  // high half, low half
          " 05000000 05000000"  // captured, original
          " deadbeef 05000000"  // padded
          " 02000400 02000000"  // epb_flags: outbound
          " 00000000 34000000");
}

TEST_CASE("a packet carries what was lost before it, its id, its process and comments in their order") {
    Buffer out;
    const std::string comments[]{"one", "", "two 2"};
    pcapng::append_packet(out, {.bytes = {},
                                .original_size = 1000,
                                .id = 0x0102030405060708,
                                .dropped = 258,
                                .process = pcapng::Process{.pid = 1234, .thread = 5},
                                .comments = comments});
    CHECK(words(out) ==
          "06000000 64000000 00000000 00000000 00000000 00000000 e8030000"
          " 02000400 01000000"           // epb_flags: inbound
          " 04000800 02010000 00000000"  // epb_dropcount
          " 05000800 08070605 04030201"  // epb_packetid
          " 08000800 d2040000 05000000"  // epb_processid_threadid
          " 01000300 6f6e6500"           // opt_comment
          " 01000500 74776f20 32000000"  // opt_comment
          " 00000000 64000000");
}

TEST_CASE("a packet's id may be 0, and a packet was never shorter than what there is of it") {
    Buffer out;
    const std::uint8_t bytes[]{1, 2, 3, 4};
    pcapng::append_packet(out, {.bytes = bytes, .original_size = 3, .id = 0});
    CHECK(words(out) ==
          "06000000 3c000000 00000000 00000000 00000000 04000000 04000000 01020304"
          " 02000400 01000000 05000800 00000000 00000000 00000000 3c000000");
}

TEST_CASE("a comment ends before the character that its length cannot count") {
    const auto written = [](const std::string& comment) {
        Buffer out;
        const std::string comments[]{comment};
        pcapng::append_packet(out, {.bytes = {}, .comments = comments});
        REQUIRE(out.size() % 4 == 0);
        return std::size_t{out[38]} | std::size_t{out[39]} << 8;  // behind the block's 28 bytes, flags, and its code
    };
    CHECK(written(std::string(65'535, 'x')) == 65'535);
    CHECK(written(std::string(65'536, 'x')) == 65'535);
    CHECK(written(std::string(65'534, 'x') + "\xc3\xa4") == 65'534);
    CHECK(written(std::string(65'533, 'x') + "\xf0\x9f\x90\x98") == 65'533);
    CHECK(written(std::string(65'531, 'x') + "\xf0\x9f\x90\x98") == 65'535);
    CHECK(written(std::string(70'000, '\x80')) == 0);  // no text at all
}

TEST_CASE("secrets are a TLS key log, padded") {
    Buffer out;
    pcapng::append_secrets(out, "A 1 2\n");
    CHECK(words(out) == "0a000000 1c000000 4b534c54 06000000 41203120 320a0000 1c000000");
}

TEST_CASE("names stand behind their addresses, each in a record of its own") {
    Buffer out;
    const pcapng::Name names[]{{.address = "10.0.0.1", .name = "db1"},
                               {.address = "/run/postgresql", .name = "socket"},
                               {.address = "10.0.0.2", .name = ""},
                               {.address = "2001:db8::1", .name = std::string("db\0x", 4)}};
    pcapng::append_names(out, names);
    CHECK(words(out) ==
          "04000000 4c000000"
          " 01000800 0a000001 64623100"                             // nrb_record_ipv4
          " 02001400 00000000 00000000 0000ffff 0a000001 64623100"  // the same as IPv6
          " 02001300 20010db8 00000000 00000000 00000001 64620000"  // nrb_record_ipv6: up to the NUL
          " 00000000 4c000000");                                    // nrb_record_end
    Buffer none;
    pcapng::append_names(none, {});
    CHECK(words(none) == "04000000 10000000 00000000 10000000");
}

TEST_CASE("a journal entry has text in lines, and anything else behind its length") {
    Buffer out;
    const pcapng::Field fields[]{
        {.key = "A", .value = "b=c\td"}, {.key = "EMPTY", .value = ""}, {.key = "B", .value = "x\ny"}};
    pcapng::append_journal_entry(out, fields);
    CHECK(words(out) ==
          "09000000 2c000000"
          " 413d623d 6309640a"                    // A=b=c<tab>d
          " 454d5054 593d0a42"                    // EMPTY=, B
          " 0a030000 00000000 00780a79 0a000000"  // its length in 8 bytes, its bytes, LF; padding
          " 2c000000");
}

TEST_CASE("what is no text in a journal entry stands behind its length") {
    const auto is_line = [](std::string_view value) {
        Buffer out;
        const pcapng::Field fields[]{{.key = "K", .value = value}};
        pcapng::append_journal_entry(out, fields);
        return out[9] == '=';
    };
    CHECK(is_line("text, \xc3\xa4 \"quoted\""));
    CHECK_FALSE(is_line("\xff"));
    CHECK_FALSE(is_line(std::string_view("a\0b", 3)));
    CHECK_FALSE(is_line("\r"));
}

TEST_CASE("statistics count what an interface received and dropped") {
    Buffer out;
    pcapng::append_statistics(out, {.interface = 1, .time = 0x0000000100000002, .received = 3, .dropped = 0});
    CHECK(words(out) ==
          "05000000 34000000 01000000 01000000 02000000"
          " 04000800 03000000 00000000"  // isb_ifrecv
          " 05000800 00000000 00000000"  // isb_ifdrop
          " 00000000 34000000");
}

TEST_CASE("blocks follow each other in what is there already") {
    Buffer out{0xaa, 0xbb, 0xcc};  // not a multiple of 4: padding counts from the block's beginning
    pcapng::append_secrets(out, "A");
    pcapng::append_statistics(out, {});
    CHECK(out.size() == 3 + 24 + 52);
    CHECK(words(Bytes(out).subspan(3, 24)) == "0a000000 18000000 4b534c54 01000000 41000000 18000000");
}
