// The first bytes of a client, through parse_opening alone and through a whole Negotiation. The
// first byte of the input is the listener's policy; every other one is what the client sends.
#include <algorithm>
#include <cstdlib>

#include "protocol/foreign.hpp"
#include "protocol/negotiation.hpp"

namespace {

using namespace protocol;
using Next = Negotiation::Next;

void check(bool holds) {
    if (!holds) std::abort();
}

void survives_a_round_trip(const OpeningPacket& packet) {
    if (const auto* startup = std::get_if<StartupMessage>(&packet)) {
        const auto again = parse_opening(serialize(*startup));
        check(std::get<StartupMessage>(again).parameters == startup->parameters);
    }
    if (const auto* cancel = std::get_if<CancelRequest>(&packet)) {
        check(std::get<CancelRequest>(parse_opening(serialize(*cancel))).key == cancel->key);
    }
}

void negotiate(NegotiationPolicy policy, Bytes client) {
    Negotiation negotiation(policy);
    for (int answers = 0;;) {
        switch (negotiation.next()) {
            case Next::peek:
                if (client.empty()) return;
                negotiation.peeked(client[0]);
                break;
            case Next::read: {
                const std::size_t size = negotiation.wanted();
                check(size > 0 && size <= max_startup_packet + 4);
                if (client.size() < size) return;
                negotiation.feed(client.first(size));
                client = client.subspan(size);
                break;
            }
            case Next::answer_no:
            case Next::answer_yes:
                check(++answers <= 2 && !negotiation.encrypted());
                // An odd byte in front of what follows says that it came too early.
                if (!client.empty() && client[0] == 0xff) {
                    negotiation.surplus();
                    break;
                }
                negotiation.answered();
                break;
            case Next::start_tls:
                check(policy.tls && !negotiation.encrypted());
                if (!client.empty() && client[0] == 0x16) client = client.subspan(1);
                negotiation.tls_started();
                break;
            case Next::started:
                check(negotiation.encrypted() || !policy.tls_required);
                check(negotiation.startup().version >> 16 == 3);
                check(std::holds_alternative<StartupMessage>(parse_opening(negotiation.packet())));
                return;
            case Next::cancel: check(!negotiation.cancel_request().key.empty()); return;
            case Next::reject: check(negotiation.fault() != Fault::none && !negotiation.kind().empty()); return;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Bytes client(data + 1, size - 1);
    survives_a_round_trip(parse_opening(client));
    const auto foreign = foreign_protocol(client);
    check(!foreign ||
          (client.size() >= 4 && foreign == foreign_protocol(client.first(std::min(client.size(), foreign_size)))));
    negotiate({.tls = (data[0] & 1) == 0, .direct_tls = (data[0] & 2) == 0, .tls_required = (data[0] & 4) != 0},
              client);
    return 0;
}
