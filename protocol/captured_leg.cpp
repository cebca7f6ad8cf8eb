#include "protocol/captured_leg.hpp"

#include <algorithm>

#include "protocol/pcapng_format.hpp"

namespace protocol {
namespace {

constexpr std::uint16_t postgresql_port = 5432;
constexpr std::string_view client_leg = " client leg";
constexpr std::string_view server_leg = " server leg";

std::string end_text(const Endpoint& end) {
    return address_text(end) + (end.v6 ? "/" : " ") + std::to_string(end.port);
}

}  // namespace

CapturedLeg captured_leg(const pcapng::InterfaceBlock& interface) {
    CapturedLeg leg{
        .side = CapturedLeg::Side::other, .listener = {}, .readable = interface.link_type == pcapng::link_type_raw};
    const auto is = [&](std::string_view suffix, CapturedLeg::Side side) {
        if (!interface.name.ends_with(suffix)) return;
        leg.side = side;
        leg.listener = interface.name.substr(0, interface.name.size() - suffix.size());
    };
    is(client_leg, CapturedLeg::Side::client);
    is(server_leg, CapturedLeg::Side::server);
    return leg;
}

CapturedEnds captured_ends(const TcpPacket& tcp, const pcapng::PacketBlock& packet, CapturedLeg::Side leg) {
    const bool inbound = packet.direction.value_or(pcapng::Direction::inbound) == pcapng::Direction::inbound;
    const bool only_one = (tcp.to.port == postgresql_port) != (tcp.from.port == postgresql_port);
    const bool from_client = only_one ? tcp.to.port == postgresql_port : inbound != (leg == CapturedLeg::Side::server);
    return {.client = from_client ? tcp.from : tcp.to,
            .server = from_client ? tcp.to : tcp.from,
            .from_client = from_client};
}

bool CapturedEnds::mapped() const { return client.v6 && !unmapped(client).v6; }

std::string CapturedEnds::key() const { return end_text(client) + ' ' + end_text(server); }

Endpoint unmapped(const Endpoint& endpoint) {
    if (!endpoint.v6) return endpoint;
    Endpoint v4{.address = {}, .v6 = false, .port = endpoint.port};
    std::copy_n(endpoint.address.begin() + 12, 4, v4.address.begin());
    return as_v6(v4) == endpoint ? v4 : endpoint;
}

}  // namespace protocol
