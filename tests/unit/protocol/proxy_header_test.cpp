// PROXY protocol headers: what the specification allows, as load balancers send them, and all else.
#include "protocol/proxy_header.hpp"

#include <array>
#include <utility>
#include <vector>

#include "protocol/crc32c.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::Fault;
using protocol::ProxyHeader;
using protocol::ProxyHeaderParser;
using State = ProxyHeaderParser::State;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string addresses4 = "\xc0\0\x02\x07\x0a\0\0\x05\xc8\xf2\x15\x38"s;  // 192.0.2.7:51442 to 10.0.0.5:5432
/// What comes behind a header and is not its: an SSLRequest.
const std::string behind = "\0\0\0\x08\x04\xd2\x16\x2f"s;

std::string u16(std::size_t value) { return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)}; }

std::string tlv(int type, const std::string& value) {
    return std::string(1, static_cast<char>(type)) + u16(value.size()) + value;
}

std::string v2(int command, int family, const std::string& rest) {
    return signature + static_cast<char>(command) + static_cast<char>(family) + u16(rest.size()) + rest;
}

std::string tcp4(const std::string& tlvs = "") { return v2(0x21, 0x11, addresses4 + tlvs); }

/// PP2_TYPE_SSL.
std::string ssl(int client, int verify, const std::string& parts) {
    return tlv(0x20, std::string(1, static_cast<char>(client)) + "\0\0\0"s + static_cast<char>(verify) + parts);
}

/// What a parser makes of `bytes`, which arrive in pieces of at most `piece`.
class Read {
   public:
    explicit Read(const std::string& bytes, std::size_t piece = 1) {
        protocol::Bytes rest = protocol::as_bytes(bytes);
        while (parser_.state() == State::reading && !rest.empty()) {
            REQUIRE(parser_.wanted() > 0);
            const std::size_t size = std::min({piece, parser_.wanted(), rest.size()});
            parser_.feed(rest.first(size));
            rest = rest.subspan(size);
        }
        left_ = std::string(protocol::as_text(rest));
    }

    State state() const { return parser_.state(); }
    Fault fault() const { return parser_.fault(); }
    const std::string& left() const { return left_; }
    const ProxyHeader& header() const {
        REQUIRE(parser_.state() == State::complete);
        return parser_.header();
    }
    std::size_t taken() const { return parser_.taken().size(); }

   private:
    ProxyHeaderParser parser_;
    std::string left_;
};

std::string source(const ProxyHeader& header) {
    return header.source ? address_text(*header.source) + " " + std::to_string(header.source->port) : "-";
}

/// The source of a good one, however it is cut; nothing behind it is touched.
std::string source_of(const std::string& bytes) {
    std::string found;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, bytes.size() + behind.size()}) {
        const Read read(bytes + behind, piece);
        REQUIRE(read.left() == behind);
        found = source(read.header());
    }
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK(Read(bytes.substr(0, size), 100'000).state() == State::reading);
    return found;
}

Fault fault_of(const std::string& bytes) {
    const Read read(bytes, 100'000), cut(bytes, 1);
    CHECK(read.fault() == cut.fault());
    CHECK(read.taken() <= bytes.size());
    return read.fault();
}

std::string from_hex(std::string_view hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return out;
}

/// What AWS documents that a network load balancer with a VPC endpoint sends.
const std::string aws_header = from_hex(
                                   "0d0a0d0a000d0a515549540a21110054ac1f0771ac1f0a1fc8f20050030004e8d6892dea001701"
                                   "767063652d3038643262663135666163353030316339040024") +
                               std::string(36, '\0');

}  // namespace

TEST_CASE("a PROXY line of version 1 names the client, in whatever pieces it comes") {
    CHECK(source_of("PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432\r\n") == "192.0.2.7 51442");
    CHECK(source_of("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") == "255.255.255.255 65535");
    CHECK(source_of("PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n") == "1.1.1.1 0");
    CHECK(source_of("PROXY TCP6 2001:db8::1 ::1 1 2\r\n") == "2001:db8::1 1");
    CHECK(source_of("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 "
                    "65535\r\n") == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
    const Read read("PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432\r\n");
    CHECK(read.header().version == 1);
    CHECK(address_text(*read.header().destination) == "10.0.0.5");
    CHECK(read.header().destination->port == 5432);
    CHECK_FALSE(read.header().local);
    CHECK_FALSE(read.header().tls);
}

TEST_CASE("of PROXY UNKNOWN nothing is believed") {
    CHECK(source_of("PROXY UNKNOWN\r\n") == "-");
    CHECK(source_of("PROXY UNKNOWN 192.0.2.7 10.0.0.5 1 2\r\n") == "-");
    CHECK(source_of("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                    "65535 65535\r\n") == "-");
}

TEST_CASE("a PROXY line that is not as specified is refused") {
    for (const std::string line :
         {"PROXY TCP4 192.0.2.7 10.0.0.5 51442\r\n", "PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432 1\r\n",
          "PROXY TCP4 192.0.2.7 10.0.0.5 51442 65536\r\n", "PROXY TCP4 192.0.2.7 10.0.0.5 051442 5432\r\n",
          "PROXY TCP4 192.0.2.7 10.0.0.5 -1 5432\r\n", "PROXY TCP4 192.0.2.7 10.0.0.5  51442 5432\r\n",
          "PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432 \r\n", "PROXY TCP4 192.0.2 10.0.0.5 51442 5432\r\n",
          "PROXY TCP4 ::1 ::1 51442 5432\r\n", "PROXY TCP6 192.0.2.7 10.0.0.5 51442 5432\r\n",
          "PROXY TCP6 fe80::1%eth0 ::1 51442 5432\r\n", "PROXY TCP5 192.0.2.7 10.0.0.5 51442 5432\r\n",
          "PROXY UDP4 192.0.2.7 10.0.0.5 51442 5432\r\n", "PROXY tcp4 192.0.2.7 10.0.0.5 51442 5432\r\n",
          "PROXY TCP4\t192.0.2.7 10.0.0.5 51442 5432\r\n", "PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432\n\r\n",
          "PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432\r\r\n", "PROXY unknown 1234\r\n", "PROXY  UNKNOWN\r\n"}) {
        INFO(line);
        CHECK(fault_of(line) == Fault::proxy_header);
    }
    CHECK(fault_of("PROXY UNKNOWN\n"s + "0123456789") == Fault::proxy_header);
    CHECK(fault_of("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\0\r\n"s) == Fault::proxy_header);
}

TEST_CASE("a PROXY line may have 107 bytes and not one more, and no more than that is ever read") {
    const auto of_size = [](std::size_t size) {
        const std::string begin = "PROXY UNKNOWN ";
        return begin + std::string(size - begin.size() - 2, 'x') + "\r\n";
    };
    CHECK(source_of(of_size(protocol::max_proxy_line)) == "-");
    CHECK(fault_of(of_size(protocol::max_proxy_line + 1)) == Fault::proxy_header);
    const Read endless("PROXY TCP4 " + std::string(1000, '1'), 100'000);
    CHECK(endless.fault() == Fault::proxy_header);
    CHECK(endless.taken() <= protocol::max_proxy_line);
}

TEST_CASE("a PROXY header of version 2 names the client, in whatever pieces it comes") {
    CHECK(source_of(tcp4()) == "192.0.2.7 51442");
    const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + '\x01';
    CHECK(source_of(v2(0x21, 0x21, v6 + std::string(15, '\0') + "\x01\xc8\xf2\x15\x38"s)) == "2001:db8::1 51442");
    const Read read(tcp4());
    CHECK(read.header().version == 2);
    CHECK(address_text(*read.header().destination) == "10.0.0.5");
    CHECK(read.header().destination->port == 5432);
}

TEST_CASE("of a LOCAL header neither addresses nor anything else is believed") {
    // As network load balancers check health: a family, and made up addresses.
    CHECK(source_of(v2(0x20, 0x11, addresses4)) == "-");
    const Read with_parts(v2(0x20, 0x11, addresses4 + tlv(0x02, "db.example") + ssl(1, 0, tlv(0x21, "TLSv1.3"))));
    CHECK(with_parts.header().local);
    CHECK(with_parts.header().authority.empty());
    CHECK_FALSE(with_parts.header().tls);
    // As HAProxy does: no family.
    CHECK(source_of(v2(0x20, 0x00, "")) == "-");
    CHECK(Read(v2(0x20, 0x00, "")).header().local);
    CHECK(source_of(v2(0x20, 0xff, "whatever this may be")) == "-");
}

TEST_CASE("UNSPEC and UNIX-domain sockets name no address and are not LOCAL") {
    CHECK(source_of(v2(0x21, 0x00, "")) == "-");
    CHECK(source_of(v2(0x21, 0x31, "/tmp/socket" + std::string(216 - 11, '\0'))) == "-");
    CHECK_FALSE(Read(v2(0x21, 0x00, "")).header().local);
    CHECK(Read(v2(0x21, 0x00, tlv(0x02, "db.example"))).header().authority == "db.example");
    CHECK(Read(v2(0x21, 0x31, std::string(216, '\0') + tlv(0x02, "db.example"))).header().authority == "db.example");
}

TEST_CASE("a PROXY header of version 2 that is not as specified is refused") {
    CHECK(fault_of(v2(0x11, 0x11, addresses4)) == Fault::proxy_header);  // version 1
    CHECK(fault_of(v2(0x22, 0x11, addresses4)) == Fault::proxy_header);  // no such command
    CHECK(fault_of(v2(0x2f, 0x00, "")) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x11, "")) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x12, "")) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x12, addresses4)) == Fault::proxy_header);  // datagrams
    CHECK(fault_of(v2(0x21, 0x11, addresses4.substr(1))) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x21, addresses4)) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x31, std::string(215, '\0'))) == Fault::proxy_header);
    CHECK(fault_of(v2(0x21, 0x41, addresses4)) == Fault::proxy_header);
    for (std::size_t at = 6; at < signature.size(); ++at) {
        std::string wrong = tcp4();
        wrong[at] ^= 1;
        CHECK(fault_of(wrong) == Fault::proxy_header);
    }
}

TEST_CASE("a PROXY header may have 8,192 bytes and not one more, and is refused before they are read") {
    const auto of_size = [](std::size_t size) { return tcp4(tlv(0x04, std::string(size - 31, '\0'))); };
    REQUIRE(of_size(protocol::max_proxy_header).size() == protocol::max_proxy_header);
    CHECK(Read(of_size(protocol::max_proxy_header), 100'000).state() == State::complete);
    const Read oversized(of_size(protocol::max_proxy_header + 1), 100'000);
    CHECK(oversized.fault() == Fault::proxy_header);
    CHECK(oversized.taken() == 16);
    CHECK(Read(v2(0x20, 0x00, std::string(65535, 'x')), 100'000).fault() == Fault::proxy_header);  // LOCAL too
}

TEST_CASE("what is no PROXY header at all is refused with its first six bytes") {
    for (const std::string& bytes :
         {behind, "\0\0\0\x54\0\x03\0\0user\0ada\0\0"s, "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"s,
          "GET / HTTP/1.1\r\n\r\n"s, "PROXYTCP4 1.1.1.1"s, "proxy TCP4 1.1.1.1"s, "\r\n\r\n\r\nQUIT\n"s}) {
        const Read read(bytes, 100'000);
        CHECK(read.fault() == Fault::proxy_header_missing);
        CHECK(read.taken() == 6);
    }
}

TEST_CASE("a header of AWS with its checksum and a VPC endpoint is understood") {
    REQUIRE(aws_header.size() == 100);
    CHECK(source_of(aws_header) == "172.31.7.113 51442");
    CHECK(Read(aws_header).header().vpce_id == "vpce-08d2bf15fac5001c9");
}

TEST_CASE("a header whose checksum does not match is refused, whichever byte is wrong") {
    constexpr std::size_t type = 28;  // of the checksum: another one would be another part
    for (std::size_t at = 16; at < aws_header.size(); ++at) {
        if (at == type) continue;
        std::string wrong = aws_header;
        wrong[at] ^= 1;
        INFO(at);
        CHECK(Read(wrong, 100'000).state() != State::complete);
    }
    CHECK(fault_of(tcp4(tlv(0x03, "\0\0\0"s))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(tlv(0x03, "\0\0\0\0"s))) == Fault::proxy_header);
    const std::string sum = aws_header.substr(28, 7);
    CHECK(fault_of(tcp4(sum + sum)) == Fault::proxy_header);
}

TEST_CASE("CRC-32C is that of RFC 3720, in one piece or several") {
    CHECK(protocol::crc32c(protocol::as_bytes(std::string(32, '\0'))) == 0x8a9136aa);
    CHECK(protocol::crc32c(protocol::as_bytes(std::string(32, '\xff'))) == 0x62a8ab43);
    CHECK(protocol::crc32c(protocol::as_bytes("123456789")) == 0xe3069283);
    CHECK(protocol::crc32c(protocol::as_bytes("6789"), protocol::crc32c(protocol::as_bytes("12345"))) == 0xe3069283);
    CHECK(protocol::crc32c({}) == 0);
}

TEST_CASE("what a load balancer saw of the client's TLS is told as it said it") {
    const Read read(tcp4(ssl(3, 0,
                             tlv(0x21, "TLSv1.3") + tlv(0x22, "billing") + tlv(0x23, "TLS_AES_256_GCM_SHA384") +
                                 tlv(0x24, "RSA-SHA256") + tlv(0x26, "X25519") + tlv(0x28, "certificate"))));
    const auto& tls = read.header().tls;
    REQUIRE(tls);
    CHECK((tls->used && tls->certificate && tls->verified));
    CHECK(tls->version == "TLSv1.3");
    CHECK(tls->common_name == "billing");
    CHECK(tls->cipher == "TLS_AES_256_GCM_SHA384");
    CHECK(tls->group == "X25519");
}

TEST_CASE("a client certificate is verified only where there is one and nothing was wrong with it") {
    const auto tls = [](int client, int verify) { return *Read(tcp4(ssl(client, verify, ""))).header().tls; };
    CHECK_FALSE(tls(1, 0).certificate);
    CHECK_FALSE(tls(1, 0).verified);
    CHECK(tls(5, 0).verified);  // in an earlier connection of the session
    CHECK(tls(3, 19).certificate);
    CHECK_FALSE(tls(3, 19).verified);
    CHECK_FALSE(tls(0, 0).used);
    CHECK_FALSE(tls(2, 0).certificate);  // without TLS there is none
    CHECK_FALSE(Read(tcp4()).header().tls);
}

TEST_CASE("every kind of part is read, and what is nobody's is passed over") {
    const Read read(tcp4(tlv(0x01, "postgresql") + tlv(0x02, "db.example") + tlv(0x04, "") + tlv(0x04, "xx") +
                         tlv(0x05, "\0\x01id"s) + tlv(0x30, "blue") + tlv(0xee, "\x01\x78\x56\x34\x12"s) +
                         tlv(0xe0, "mine") + tlv(0xe0, "mine") + tlv(0x7f, "?")));
    CHECK(read.header().alpn == "postgresql");
    CHECK(read.header().authority == "db.example");
    CHECK(read.header().unique_id == "\0\x01id"s);
    CHECK(read.header().network_namespace == "blue");
    CHECK(read.header().azure_link_id == 0x12345678U);
    CHECK(read.header().vpce_id.empty());
}

TEST_CASE("parts that are not as specified are refused") {
    CHECK(fault_of(tcp4("\x02")) == Fault::proxy_header);
    CHECK(fault_of(tcp4("\x02\0"s)) == Fault::proxy_header);
    CHECK(fault_of(tcp4("\x02\0\x05"
                        "abcd"s)) == Fault::proxy_header);
    CHECK(fault_of(tcp4("\x02\xff\xff"
                        "abcd"s)) == Fault::proxy_header);
    CHECK(fault_of(tcp4(tlv(0x02, "a") + tlv(0x02, "b"))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(ssl(1, 0, "") + ssl(0, 0, ""))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(tlv(0x20, "\x01\0\0\0"s))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(ssl(1, 0, "\x21\0\x09TLSv1.3"s))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(ssl(1, 0, tlv(0x21, "TLSv1.3") + tlv(0x21, "TLSv1")))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(tlv(0x05, std::string(129, 'x')))) == Fault::proxy_header);
    CHECK(fault_of(tcp4(tlv(0xea, "\x01vpce-1") + tlv(0xea, "\x01vpce-2"))) == Fault::proxy_header);
}

TEST_CASE("an id of a cloud that is none is left out, and long texts are cut") {
    CHECK(Read(tcp4(tlv(0xea, "\x01"))).header().vpce_id.empty());
    CHECK(Read(tcp4(tlv(0xea, "\x02vpce-1"))).header().vpce_id.empty());
    CHECK(Read(tcp4(tlv(0xea, "\x01vpce 1"))).header().vpce_id.empty());
    CHECK(Read(tcp4(tlv(0xea, "\x01vpce-\n1"))).header().vpce_id.empty());
    CHECK(Read(tcp4(tlv(0xea, "\x01" + std::string(300, 'v'))), 1000).header().vpce_id.empty());
    CHECK_FALSE(Read(tcp4(tlv(0xee, "\x01\x02\x03"))).header().azure_link_id);
    CHECK_FALSE(Read(tcp4(tlv(0xee, "\x02\0\0\0\0"s))).header().azure_link_id);
    CHECK(Read(tcp4(tlv(0x02, std::string(300, 'n'))), 1000).header().authority.size() == 255);
}
