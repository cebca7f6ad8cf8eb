#include "protocol/pcapng_reader.hpp"

#include "support/catch.hpp"
#include "support/words.hpp"

namespace {

using namespace protocol;
using support::unwords;
using support::words;

std::string said(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += " [" + text + ']';
    return all;
}

struct Describe {
    std::string operator()(const pcapng::SectionBlock& block) const {
        return "section " + block.application + '/' + block.system + said(block.comments);
    }
    std::string operator()(const pcapng::InterfaceBlock& block) const {
        return "interface " + std::to_string(block.number) + " link " + std::to_string(block.link_type) + ' ' +
               block.name + '/' + block.description;
    }
    std::string operator()(const pcapng::PacketBlock& block) const {
        std::string text = "packet on " + std::to_string(block.interface) + " at " + std::to_string(block.time) + ": " +
                           words(block.bytes) + " of " + std::to_string(block.original_size);
        if (block.direction) text += *block.direction == pcapng::Direction::inbound ? " in" : " out";
        if (block.id) text += " id " + std::to_string(*block.id);
        if (block.dropped) text += " dropped " + std::to_string(block.dropped);
        if (block.process)
            text += " process " + std::to_string(block.process->pid) + '/' + std::to_string(block.process->thread);
        return text + said(block.comments);
    }
    std::string operator()(const pcapng::SecretsBlock& block) const {
        return "secrets " + std::to_string(block.type) + ' ' + std::to_string(block.size);
    }
    std::string operator()(const pcapng::NamesBlock& block) const {
        std::string text = "names";
        for (const auto& name : block.names) text += ' ' + name.address + '=' + name.name;
        return text;
    }
    std::string operator()(const pcapng::JournalBlock& block) const {
        std::string text = "journal";
        for (const auto& [key, value] : block.fields) text += ' ' + key + "=<" + value + '>';
        return text;
    }
    std::string operator()(const pcapng::Statistics& block) const {
        return "statistics of " + std::to_string(block.interface) + " at " + std::to_string(block.time) + ": " +
               std::to_string(block.received) + ' ' + std::to_string(block.dropped);
    }
};

using Blocks = std::vector<std::string>;

void read(pcapng::BlockReader& reader, Bytes bytes, Blocks& blocks) {
    while (const auto block = reader.next(bytes)) blocks.push_back(std::visit(Describe{}, *block));
    CHECK(bytes.empty());
}

Blocks blocks_of(std::string_view file) {
    pcapng::BlockReader reader;
    Blocks blocks;
    read(reader, as_bytes(file), blocks);
    CHECK(reader.error() == "");
    CHECK(reader.pending() == 0);
    return blocks;
}

std::string error_of(const std::string& file) {
    pcapng::BlockReader reader;
    Blocks blocks;
    read(reader, as_bytes(file), blocks);
    return reader.error();
}

/// What our writer makes, one of each.
struct Written {
    std::string bytes;
    Blocks blocks;
};
Written everything() {
    Buffer out;
    pcapng::append_section(out, "pgairlock 0.1", "Linux", "first");
    pcapng::append_interface(out, "main client leg", "at 10.0.0.1:6432");
    pcapng::append_interface(out, "main server leg", "");
    const pcapng::Name names[]{{.address = "10.0.0.1", .name = "db1"}, {.address = "2001:db8::1", .name = "db2"}};
    pcapng::append_names(out, names);
    pcapng::append_secrets(out, "CLIENT_RANDOM 00 11\n");
    const std::uint8_t bytes[]{1, 2, 3, 4, 5};
    const std::string comments[]{"session=1", "second"};
    pcapng::append_packet(out, {.interface = 1,
                                .time = 1'795'980'000'123'456'789,
                                .bytes = bytes,
                                .original_size = 9,
                                .direction = pcapng::Direction::outbound,
                                .id = 0,
                                .dropped = 7,
                                .process = pcapng::Process{.pid = 42, .thread = 43},
                                .comments = comments});
    pcapng::append_packet(out, {.bytes = {}});
    const pcapng::Field fields[]{
        {.key = "MESSAGE", .value = "{\"a\":\"=\"}"}, {.key = "BINARY", .value = "x\ny\n"}, {.key = "E", .value = ""}};
    pcapng::append_journal_entry(out, fields);
    pcapng::append_statistics(out, {.interface = 1, .time = 5'000'000'000, .received = 8, .dropped = 9});
    pcapng::append_section(out, "", "");
    pcapng::append_interface(out, "anew", "");
    return {.bytes = std::string(as_text(out)),
            .blocks = {"section pgairlock 0.1/Linux [first]", "interface 0 link 101 main client leg/at 10.0.0.1:6432",
                       "interface 1 link 101 main server leg/",
                       "names 10.0.0.1=db1 ::ffff:10.0.0.1=db1 2001:db8::1=db2", "secrets 1414288203 20",
                       "packet on 1 at 1795980000123456789: 01020304 05 of 9 out id 0 dropped 7 process 42/43 "
                       "[session=1] [second]",
                       "packet on 0 at 0:  of 0 in", "journal MESSAGE=<{\"a\":\"=\"}> BINARY=<x\ny\n> E=<>",
                       "statistics of 1 at 5000000000: 8 9", "section /", "interface 0 link 101 anew/"}};
}

const std::string section = "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffff ffffffff 1c000000 ";
const std::string interface = "01000000 20000000 65000000 00000000 09000100 09000000 00000000 20000000 ";

}  // namespace

TEST_CASE("what is written is read, cut at every byte") {
    const Written written = everything();
    for (std::size_t cut = 0; cut <= written.bytes.size(); ++cut) {
        pcapng::BlockReader reader;
        Blocks blocks;
        read(reader, as_bytes(written.bytes).first(cut), blocks);
        REQUIRE(reader.error() == "");
        CHECK(std::equal(blocks.begin(), blocks.end(), written.blocks.begin()));
        read(reader, as_bytes(written.bytes).subspan(cut), blocks);
        CHECK(blocks == written.blocks);
        CHECK(reader.pending() == 0);
    }
}

TEST_CASE("what is written is read in pieces of any size") {
    const Written written = everything();
    for (std::size_t piece = 1; piece <= 200; ++piece) {
        pcapng::BlockReader reader;
        Blocks blocks;
        for (std::size_t at = 0; at < written.bytes.size(); at += piece)
            read(reader, as_bytes(std::string_view(written.bytes).substr(at, piece)), blocks);
        CHECK(blocks == written.blocks);
        CHECK(reader.skipped() == 0);
    }
}

TEST_CASE("a block is there with its last byte and not before, and a cut file says that it is") {
    const std::string file = unwords(section);
    pcapng::BlockReader reader;
    Blocks blocks;
    for (std::size_t i = 0; i + 1 < file.size(); ++i) {
        read(reader, as_bytes(std::string_view(file).substr(i, 1)), blocks);
        CHECK(blocks.empty());
        CHECK(reader.pending() == i + 1);
    }
    CHECK(reader.error() == "");
    read(reader, as_bytes(std::string_view(file).substr(file.size() - 1)), blocks);
    CHECK(blocks == Blocks{"section /"});
    CHECK(reader.pending() == 0);
}

TEST_CASE("a file of the other byte order says the same") {
    const std::string big = unwords(
        "0a0d0d0a 0000002c 1a2b3c4d 00010000 ffffffff ffffffff 00040003 61626300 00000000 00000000 0000002c"
        "00000001 00000028 00650000 00000000 00020002 63640000 00090001 09000000 00000000 00000028"
        "00000006 0000005c 00000000 00000001 00000002 00000003 00000003 aabbcc00"
        "00020004 00000001 00040008 00000000 00000003 00050008 00000000 00000004 00080008 00000005 00000006"
        "00010001 78000000 00000000 0000005c"
        "00000005 00000034 00000000 00000000 00000001 00040008 00000000 00000007 00050008 00000000 00000008"
        "00000000 00000034"
        "00000004 00000020 00010006 0a000001 61000000 00000000 00000000 00000020"
        "0000000a 00000018 544c534b 00000002 410a0000 00000018"
        "00000009 00000020 420a0200 00000000 00000a0a 0a413d62 0a000000 00000020");
    CHECK(blocks_of(big) == Blocks{"section abc/", "interface 0 link 101 cd/",
                                   "packet on 0 at 4294967298: aabbcc of 3 in id 4 dropped 3 process 5/6 [x]",
                                   "statistics of 0 at 1: 7 8", "names 10.0.0.1=a", "secrets 1414288203 2",
                                   "journal B=<\n\n> A=<b>"});
}

TEST_CASE("sections of both byte orders may follow each other, each with interfaces of its own") {
    const std::string big = "0a0d0d0a 0000001c 1a2b3c4d 00010000 ffffffff ffffffff 0000001c ";
    CHECK(blocks_of(unwords(section + interface + big + "00000001 00000014 00650000 00000000 00000014" + section)) ==
          Blocks{"section /", "interface 0 link 101 /", "section /", "interface 0 link 101 /", "section /"});
    CHECK(error_of(unwords(section + interface + section + "05000000 18000000 00000000 00000000 00000000 18000000")) ==
          "at byte 88: interface 0, which is not described");
}

TEST_CASE("blocks and options that are not known are skipped") {
    const std::string unknown =
        "03000000 14000000 01000000 ff000000 14000000 "  // a simple packet
        "ad0b0000 0c000000 0c000000 ";                   // a custom block
    const std::string packet =
        "06000000 40000000 00000000 00000000 01000000 01000000 01000000 ff000000"
        " 34120300 61626300 02000400 03000000 00000000 ffffffff ffffffff 40000000";  // option 0x1234; direction 3
    pcapng::BlockReader reader;
    Blocks blocks;
    const std::string file = unwords(section + unknown + interface + unknown + packet);
    read(reader, as_bytes(file), blocks);
    CHECK(blocks == Blocks{"section /", "interface 0 link 101 /", "packet on 0 at 1: ff of 1"});
    CHECK(reader.skipped() == 4);
    CHECK(reader.error() == "");
}

TEST_CASE("times are nanoseconds, however the interface counts") {
    const auto time = [](const std::string& options, const std::string& ticks) {
        std::string description = "65000000 00000000 " + options;
        const auto size = unwords(description).size() + 12;
        std::string length = words(as_bytes(std::string{static_cast<char>(size), 0, 0, 0}));
        const Blocks blocks = blocks_of(unwords(section + "01000000 " + length + ' ' + description + length +
                                                "05000000 18000000 00000000" + ticks + "18000000"));
        return blocks.at(2).substr(19, blocks.at(2).find(':') - 19);
    };
    const std::string ticks = "01000000 02000000";  // 4,294,967,298
    CHECK(time("", ticks) == "4294967298000");
    CHECK(time("09000100 06000000 00000000", ticks) == "4294967298000");
    CHECK(time("09000100 09000000 00000000", ticks) == "4294967298");
    CHECK(time("09000100 03000000 00000000", ticks) == "4294967298000000");
    CHECK(time("09000100 00000000 00000000", ticks) == "4294967298000000000");
    CHECK(time("09000100 0c000000 00000000", ticks) == "4294967");
    CHECK(time("09000100 7f000000 00000000", ticks) == "0");
    CHECK(time("09000100 81000000 00000000", ticks) == "2147483649000000000");       // halves
    CHECK(time("09000100 a0000000 00000000", "03000000 00000080") == "3500000000");  // 2^-32
    CHECK(time("09000100 bf000000 00000000", "00000040 00000000") == "500000000");   // 2^-63
    CHECK(time("09000100 ff000000 00000000", ticks) == "0");
    CHECK(time("09000100 06000000 0e000800 02000000 00000000", "00000000 05000000") == "2000005000");
    CHECK(time("0e000800 ffffffff ffffffff", "00000000 40420f00") == "0");  // one second back
}

TEST_CASE("a journal's entry is read as systemd writes it") {
    const auto journal = [](std::string entry) {
        entry.resize((entry.size() + 3) / 4 * 4);
        const std::string length = words(as_bytes(std::string{static_cast<char>(entry.size() + 12), 0, 0, 0}));
        return unwords(section + "09000000 " + length) + entry + unwords(length);
    };
    using namespace std::string_literals;
    CHECK(blocks_of(journal("A=1\nB==\n\n")).at(1) == "journal A=<1> B=<=>");
    CHECK(blocks_of(journal("A=1\nB=2")).at(1) == "journal A=<1> B=<2>");
    CHECK(blocks_of(journal("B\n\3\0\0\0\0\0\0\0a\nb\nC=\n"s)).at(1) == "journal B=<a\nb> C=<>");
    CHECK(blocks_of(journal("B\n\2\0\0\0\0\0\0\0\0\0\n"s)).at(1) == "journal B=<\0\0>"s);
    CHECK(blocks_of(journal("")).at(1) == "journal");
    const std::string broken = "at byte 28: a block that is shorter than what it holds";
    CHECK(error_of(journal("B")) == broken);
    CHECK(error_of(journal("B\n\1\0\0\0\0\0\0"s)) == broken);
    CHECK(error_of(journal("B\n\4\0\0\0\0\0\0\0abc\n"s)) == broken);
    CHECK(error_of(journal("B\n\2\0\0\0\0\0\0\0abc\n"s)) == broken);  // no LF behind it
    CHECK(error_of(journal("B\n\xff\xff\xff\xff\xff\xff\xff\xff"
                           "abc\n"s)) == broken);
}

TEST_CASE("a journal's field is found by its name") {
    const pcapng::JournalBlock block{.fields = {{"A", "1"}, {"B", "2"}, {"A", "3"}}};
    CHECK(block.value("A") == "1");
    CHECK(block.value("B") == "2");
    CHECK(block.value("C") == "");
}

TEST_CASE("an address may have several names, and records that are not known are skipped") {
    const std::string names =
        "04000000 44000000 01000900 0a000001 61620063 00000000 03000800 00000000 00000000 "
        "02001200 20010db8 00000000 00000000 00000001 78000000 00000000 44000000";
    CHECK(blocks_of(unwords(section + names)).at(1) == "names 10.0.0.1=ab 10.0.0.1=c 2001:db8::1=x");
    const std::string broken = "at byte 28: a block that is shorter than what it holds";
    CHECK(error_of(unwords(section + "04000000 18000000 01000700 0a000001 61620000 18000000")) == "");
    CHECK(error_of(unwords(section + "04000000 18000000 01000600 0a000001 61620000 18000000")) == broken);
}

TEST_CASE("what is no pcapng file, or of another version, ends it at once") {
    CHECK(error_of("\xd4\xc3\xb2\xa1 a file of tcpdump") == "at byte 0: this is no pcapng file");
    CHECK(error_of(unwords(interface)) == "at byte 0: this is no pcapng file");
    CHECK(error_of(unwords("0a0d0d0a 1c000000 4d3c2b1b 01000000 ffffffff ffffffff 1c000000")) ==
          "at byte 0: a section of no byte order");
    CHECK(error_of(unwords("0a0d0d0a 1c000000 4d3c2b1a 02000000 ffffffff ffffffff 1c000000")) ==
          "at byte 0: a section of an unknown version");
    CHECK(error_of(unwords("0a0d0d0a 10000000 4d3c2b1a 10000000")) == "at byte 0: a section of an unknown version");
    CHECK(error_of(unwords("0a0d0d0a 14000000 4d3c2b1a 01000000 14000000")) ==
          "at byte 0: a block that is shorter than what it holds");
    CHECK(error_of("") == "");
}

TEST_CASE("broken lengths end it, and say where") {
    const auto behind_section = [](const std::string& block) { return error_of(unwords(section + interface + block)); };
    CHECK(behind_section("06000000 00000000 00000000") == "at byte 60: a block of 0 bytes");
    CHECK(behind_section("06000000 08000000 00000000") == "at byte 60: a block of 8 bytes");
    CHECK(behind_section("ff000000 0e000000 ffffffff") == "at byte 60: a block of 14 bytes");
    CHECK(behind_section("ff000000 04000004 ffffffff") == "at byte 60: a block of 67108868 bytes");
    CHECK(behind_section("ff000000 fcffffff ffffffff") == "at byte 60: a block of 4294967292 bytes");
    CHECK(behind_section("ff000000 10000000 ffffffff 0c000000") == "at byte 60: a block whose two lengths differ");
    const std::string shorter = "at byte 60: a block that is shorter than what it holds";
    // Packets: more bytes than there are; an option beyond the end; flags in two bytes.
    CHECK(behind_section("06000000 24000000 00000000 00000000 00000000 05000000 05000000 00000000 24000000") ==
          shorter);
    CHECK(behind_section("06000000 20000000 00000000 00000000 00000000 ffffffff ffffffff 20000000") == shorter);
    CHECK(behind_section("06000000 28000000 00000000 00000000 00000000 00000000 00000000 01000500 61626364"
                         " 28000000") == shorter);
    CHECK(behind_section("06000000 28000000 00000000 00000000 00000000 00000000 00000000 02000200 01000000"
                         " 28000000") == shorter);
    CHECK(behind_section("06000000 0c000000 0c000000") == shorter);
    CHECK(behind_section("01000000 0c000000 0c000000") == shorter);
    CHECK(behind_section("04000000 10000000 01000500 10000000") == shorter);
    CHECK(behind_section("0a000000 14000000 4b534c54 01000000 14000000") == shorter);
    CHECK(behind_section("06000000 20000000 01000000 00000000 00000000 00000000 00000000 20000000") ==
          "at byte 60: interface 1, which is not described");
}

TEST_CASE("nothing is read behind an error, and the first one stays") {
    pcapng::BlockReader reader;
    Blocks blocks;
    const std::string broken = unwords(section + "ff000000 0e000000 ffffffff ffffffff");
    read(reader, as_bytes(broken), blocks);
    const std::string more = unwords(section);
    read(reader, as_bytes(more), blocks);
    CHECK(blocks == Blocks{"section /"});
    CHECK(reader.error() == "at byte 28: a block of 14 bytes");
}

TEST_CASE("a block of 64 MiB is read") {
    std::string file = unwords(section + "ff000000 00000004");
    file.resize(28 + pcapng::max_block - 4);
    file += unwords("00000004" + section);
    pcapng::BlockReader reader;
    Blocks blocks;
    for (std::size_t at = 0; at < file.size(); at += 1'000'000)
        read(reader, as_bytes(std::string_view(file).substr(at, 1'000'000)), blocks);
    CHECK(reader.error() == "");
    CHECK(reader.skipped() == 1);
    CHECK(blocks == Blocks{"section /", "section /"});
}

TEST_CASE("a section has so many interfaces and no more") {
    pcapng::BlockReader reader;
    Blocks blocks;
    const std::string start = unwords(section), one = unwords(interface);
    read(reader, as_bytes(start), blocks);
    for (std::size_t i = 0; i < pcapng::max_interfaces; ++i) {
        Bytes bytes = as_bytes(one);
        REQUIRE(reader.next(bytes));
    }
    CHECK(reader.error() == "");
    read(reader, as_bytes(one), blocks);
    CHECK(reader.error() == "at byte 2097180: too many interfaces");
}
