#include "bench/replay/handshake_records.hpp"

namespace bench::replay {
namespace {

/// Of a conversation, beside what it says.
constexpr std::size_t overhead = 1024;

}  // namespace

/// Only the first packet of a conversation of records says that it is one; where IPv4 is written as
/// IPv6, all of them show it.
bool HandshakeRecords::take(const protocol::TcpPacket& tcp, std::uint64_t time, const protocol::CapturedEnds& ends,
                            const SessionFacts& facts) {
    auto found = conversations_.find(ends.key());
    const bool another =
        found != conversations_.end() && !facts.session.empty() && found->second.session != facts.session;
    if (another) {
        conversations_.erase(found);  // its port is used again
        found = conversations_.end();
    }
    if (found == conversations_.end()) {
        if (!facts.records) return ends.mapped();
        found = conversations_.try_emplace(ends.key()).first;
        found->second.session = facts.session;
        bytes_ += overhead;
    }
    Conversation& of = found->second;
    if (of.over || !ends.from_client) return true;
    const auto piece = of.client.segment({.from = protocol::CapturedSide::client,
                                          .time = time,
                                          .sequence = tcp.sequence,
                                          .syn = (tcp.flags & protocol::tcp_flag::syn) != 0,
                                          .payload = tcp.payload});
    bytes_ += piece.bytes.size();
    of.over = piece.missing > 0 || !of.hello.take(piece.bytes);
    if (of.hello.offer()) offers_.insert_or_assign(of.session, *of.hello.offer());
    return true;
}

std::optional<TlsOffer> HandshakeRecords::offer_of(const std::string& session) const {
    const auto found = offers_.find(session);
    if (found == offers_.end()) return std::nullopt;
    return found->second;
}

}  // namespace bench::replay
