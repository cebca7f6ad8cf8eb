#include "protocol/startup.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::Buffer;
using protocol::CancelRequest;
using protocol::Fault;
using protocol::OpeningPacket;
using protocol::parse_opening;
using protocol::StartupMessage;

constexpr std::uint32_t protocol_3_0 = 0x00030000;

/// A packet of `code` and `body` with a length field that is right.
Buffer packet(std::uint32_t code, const std::string& body) {
    Buffer out;
    protocol::Writer writer(out);
    writer.u32(static_cast<std::uint32_t>(8 + body.size()));
    writer.u32(code);
    writer.bytes(protocol::as_bytes(body));
    return out;
}

Fault fault_of(const Buffer& bytes) {
    const OpeningPacket parsed = parse_opening(bytes);
    const auto* fault = std::get_if<Fault>(&parsed);
    return fault ? *fault : Fault::none;
}

StartupMessage startup_of(const Buffer& bytes) {
    const OpeningPacket parsed = parse_opening(bytes);
    REQUIRE(std::holds_alternative<StartupMessage>(parsed));
    return std::get<StartupMessage>(parsed);
}

CancelRequest cancel_of(const Buffer& bytes) {
    const OpeningPacket parsed = parse_opening(bytes);
    REQUIRE(std::holds_alternative<CancelRequest>(parsed));
    return std::get<CancelRequest>(parsed);
}

/// A StartupMessage of exactly `size` bytes.
Buffer startup_of_size(std::size_t size) {
    const std::string name_and_end = "user\0"s + "\0\0"s;
    return packet(protocol_3_0, "user\0"s + std::string(size - 8 - name_and_end.size(), 'u') + "\0\0"s);
}

}  // namespace

TEST_CASE("SSLRequest and GSSENCRequest are eight bytes each") {
    CHECK(serialize(protocol::SSLRequest{}) == Buffer{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f});
    CHECK(std::holds_alternative<protocol::SSLRequest>(parse_opening(Buffer{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f})));
    CHECK(std::holds_alternative<protocol::GSSENCRequest>(parse_opening(Buffer{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30})));
}

TEST_CASE("an encryption request that carries anything is refused") {
    CHECK(fault_of(packet(protocol::ssl_request_code, "x")) == Fault::startup_length);
    CHECK(fault_of(packet(protocol::gssenc_request_code, "x")) == Fault::startup_length);
}

TEST_CASE("an opening packet has between 8 and 10,004 bytes, its length field included") {
    const auto size_of = [](std::uint32_t length) {
        Buffer header;
        protocol::Writer writer(header);
        writer.u32(length);
        writer.u32(protocol_3_0);
        return protocol::opening_packet_size(header);
    };
    for (std::uint32_t length = 0; length < 8; ++length) CHECK_FALSE(size_of(length).has_value());
    CHECK(size_of(8) == 8u);
    CHECK(size_of(10'000) == 10'000u);
    CHECK(size_of(10'003) == 10'003u);
    CHECK(size_of(10'004) == 10'004u);
    CHECK_FALSE(size_of(10'005).has_value());
    CHECK_FALSE(size_of(0x16030100).has_value());
    CHECK_FALSE(size_of(0x7fffffff).has_value());
    CHECK_FALSE(size_of(0x80000008).has_value());
    CHECK_FALSE(size_of(0xffffffff).has_value());
}

TEST_CASE("a packet whose length field does not count its bytes is refused") {
    const Buffer right = packet(protocol_3_0, "user\0ada\0\0"s);
    CHECK(fault_of(right) == Fault::none);
    for (std::size_t size = 0; size < right.size(); ++size) {
        CHECK(fault_of(Buffer(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(size))) ==
              Fault::startup_length);
    }
    Buffer longer = right;
    longer.push_back(0);
    CHECK(fault_of(longer) == Fault::startup_length);
}

TEST_CASE("the longest StartupMessage is accepted, one byte more is not") {
    CHECK(startup_of(startup_of_size(10'004)).find("user").size() == 10'004 - 8 - 7);
    CHECK(fault_of(startup_of_size(10'005)) == Fault::startup_length);
}

TEST_CASE("a StartupMessage gives its version and parameters in order") {
    const StartupMessage startup = startup_of(packet(protocol_3_0, "user\0ada\0database\0shop\0options\0\0\0"s));
    CHECK(startup.version == protocol_3_0);
    REQUIRE(startup.parameters.size() == 3);
    CHECK(startup.parameters[0] == std::pair("user"s, "ada"s));
    CHECK(startup.parameters[1] == std::pair("database"s, "shop"s));
    CHECK(startup.parameters[2] == std::pair("options"s, ""s));
    CHECK(startup.find("user") == "ada");
    CHECK(startup.find("User").empty());
    CHECK(startup.find("application_name").empty());
    CHECK(startup.database() == "shop");
}

TEST_CASE("the last of duplicate parameters wins") {
    CHECK(startup_of(packet(protocol_3_0, "user\0ada\0user\0eve\0\0"s)).find("user") == "eve");
}

TEST_CASE("physical replication is what the server takes for a true boolean") {
    const auto is_physical = [](const std::string& value) {
        return startup_of(packet(protocol_3_0, "user\0ada\0replication\0"s + value + "\0\0"s))
            .is_physical_replication();
    };
    for (const char* const yes : {"true", "TRUE", "t", "tr", "yes", "Y", "on", "oN", "1"}) CHECK(is_physical(yes));
    for (const char* const no :
         {"", "false", "no", "off", "o", "0", "database", "Database", "trues", "yess", "one", "11"})
        CHECK_FALSE(is_physical(no));
    CHECK_FALSE(startup_of(packet(protocol_3_0, "user\0ada\0\0"s)).is_physical_replication());
}

TEST_CASE("what is logical replication once stays in its database, whatever is said of it besides") {
    const auto is_physical = [](const std::string& parameters) {
        return startup_of(packet(protocol_3_0, "user\0ada\0"s + parameters + "\0"s)).is_physical_replication();
    };
    CHECK_FALSE(is_physical("replication\0database\0replication\0true\0"s));
    CHECK_FALSE(is_physical("replication\0true\0replication\0database\0"s));
    CHECK_FALSE(is_physical("replication\0true\0replication\0database\0replication\0on\0"s));
    CHECK(is_physical("replication\0off\0replication\0on\0"s));
    CHECK_FALSE(is_physical("replication\0on\0replication\0off\0"s));
}

TEST_CASE("who sends options, or a setting that is not known better, may choose itself whether it can write") {
    const auto may_choose = [](const std::string& parameters) {
        return startup_of(packet(protocol_3_0, "user\0ada\0"s + parameters + "\0"s)).may_choose_read_only();
    };
    CHECK_FALSE(may_choose("database\0shop\0application_name\0psql\0client_encoding\0UTF8\0"s));
    CHECK_FALSE(may_choose("DateStyle\0ISO\0TimeZone\0UTC\0extra_float_digits\0002\0"s));
    CHECK(may_choose("options\0-c default_transaction_read_only=on\0"s));
    CHECK(may_choose("options\0\0"s));
    CHECK(may_choose("default_transaction_read_only\0on\0"s));
    CHECK(may_choose("Transaction_Read_Only\0on\0"s));
    CHECK(may_choose("replication\0true\0"s));
    CHECK(may_choose("_pq_.something\0001\0"s));
}

TEST_CASE("a client that names no database means the one named as its user") {
    CHECK(startup_of(packet(protocol_3_0, "user\0ada\0\0"s)).database() == "ada");
    CHECK(startup_of(packet(protocol_3_0, "user\0ada\0database\0\0\0"s)).database() == "ada");
    CHECK(startup_of(packet(protocol_3_0, "\0"s)).database().empty());
}

TEST_CASE("every minor of protocol 3 is accepted: what it means is between client and server") {
    for (const std::uint32_t minor : {0u, 1u, 2u, 9u, 9999u, 0xffffu}) {
        CHECK(startup_of(packet(protocol_3_0 | minor, "user\0a\0\0"s)).version == (protocol_3_0 | minor));
    }
    CHECK(protocol::version_text(0x00030000) == "3.0");
    CHECK(protocol::version_text(0x00030002) == "3.2");
    CHECK(protocol::version_text(0x0003270f) == "3.9999");
}

TEST_CASE("other protocols and request codes are refused") {
    for (const std::uint32_t code :
         {0u, 0x00020000u, 0x00040000u, 0x00010000u, 0x0002ffffu, 0x04d20000u, 80877101u, 80877105u, 0xffffffffu}) {
        CHECK(fault_of(packet(code, "user\0ada\0\0"s)) == Fault::unsupported_protocol);
    }
}

TEST_CASE("parameters that do not end exactly where the packet ends are refused") {
    SECTION("nothing at all") { CHECK(fault_of(packet(protocol_3_0, "")) == Fault::startup_layout); }
    SECTION("a name without its NUL") { CHECK(fault_of(packet(protocol_3_0, "user")) == Fault::startup_layout); }
    SECTION("a name without a value") { CHECK(fault_of(packet(protocol_3_0, "user\0"s)) == Fault::startup_layout); }
    SECTION("a value without its NUL") { CHECK(fault_of(packet(protocol_3_0, "user\0ada"s)) == Fault::startup_layout); }
    SECTION("no terminator") { CHECK(fault_of(packet(protocol_3_0, "user\0ada\0"s)) == Fault::startup_layout); }
    SECTION("a byte behind the terminator") {
        CHECK(fault_of(packet(protocol_3_0, "user\0ada\0\0x"s)) == Fault::startup_layout);
    }
    SECTION("parameters behind the terminator hide no user") {
        CHECK(fault_of(packet(protocol_3_0, "user\0ada\0\0user\0eve\0\0"s)) == Fault::startup_layout);
    }
}

TEST_CASE("a StartupMessage without parameters is whole: the server says what it lacks") {
    CHECK(startup_of(packet(protocol_3_0, "\0"s)).parameters.empty());
}

TEST_CASE("a CancelRequest gives process and key") {
    const CancelRequest request = cancel_of(packet(protocol::cancel_request_code, "\x00\x00\x30\x39\xca\xfe\xba\xbe"s));
    CHECK(request.pid == 12345);
    CHECK(request.key == Buffer{0xca, 0xfe, 0xba, 0xbe});
}

TEST_CASE("a cancel key has 4 to 256 bytes") {
    const auto with_key = [](std::size_t size) {
        return packet(protocol::cancel_request_code, "\0\0\0\1"s + std::string(size, 'k'));
    };
    for (const std::size_t size : {0u, 1u, 3u, 257u, 1000u, 9992u})
        CHECK(fault_of(with_key(size)) == Fault::cancel_length);
    for (const std::size_t size : {4u, 5u, 32u, 255u, 256u}) CHECK(cancel_of(with_key(size)).key.size() == size);
}

TEST_CASE("a CancelRequest without a whole process number is refused") {
    CHECK(fault_of(packet(protocol::cancel_request_code, "")) == Fault::cancel_length);
    CHECK(fault_of(packet(protocol::cancel_request_code, "\0\0\0"s)) == Fault::cancel_length);
}

TEST_CASE("opening packets survive a round trip") {
    SECTION("StartupMessage") {
        const StartupMessage sent{.version = 0x00030002,
                                  .parameters = {{"user", "ada"}, {"client_encoding", "UTF8"}, {"options", ""}}};
        const StartupMessage got = startup_of(serialize(sent));
        CHECK(got.version == sent.version);
        CHECK(got.parameters == sent.parameters);
        CHECK(serialize(got) == serialize(sent));
    }
    SECTION("CancelRequest") {
        for (const std::size_t size : {4u, 256u}) {
            const CancelRequest sent{.pid = 0xfffffffe, .key = Buffer(size, 0x5a)};
            const CancelRequest got = cancel_of(serialize(sent));
            CHECK(got.pid == sent.pid);
            CHECK(got.key == sent.key);
        }
    }
}

TEST_CASE("every fault has a label, a SQLSTATE and a sentence of its own") {
    // Nobody is told who has not spoken PostgreSQL's protocol yet.
    const std::vector<Fault> untold{Fault::startup_length, Fault::cancel_length, Fault::proxy_header,
                                    Fault::proxy_header_missing};
    std::vector<std::string_view> labels;
    for (int i = 1; i <= static_cast<int>(Fault::sasl_nothing_left); ++i) {
        const auto fault = static_cast<Fault>(i);
        const bool is_told = std::find(untold.begin(), untold.end(), fault) == untold.end();
        CHECK(sqlstate(fault).size() == (is_told ? 5U : 0U));
        CHECK(sqlstate(fault) != sqlstate(Fault::none));
        CHECK_FALSE(message(fault).empty());
        CHECK(std::find(labels.begin(), labels.end(), label(fault)) == labels.end());
        labels.push_back(label(fault));
    }
    CHECK(sqlstate(Fault::unencrypted_after_request) == "08P01");
    CHECK(sqlstate(Fault::tls_required) == "28000");
}
