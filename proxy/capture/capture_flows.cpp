#include "proxy/capture/capture_flows.hpp"

#include <algorithm>

#include "protocol/tcp_packet.hpp"
#include "proxy/capture/capture.hpp"

namespace proxy {

CaptureFlows::Entry CaptureFlows::enter(CapturePacket& packet) {
    Entry entry;
    const CapturePlace& place = packet.place;
    const auto tcp = place.conversation == 0 ? std::nullopt : protocol::decode_tcp_packet(packet.bytes);
    if (tcp) {
        if (conversations_.size() >= max_conversations && !conversations_.contains(place.conversation))
            conversations_.clear();
        auto [found, is_new] = conversations_.try_emplace(place.conversation);
        std::optional<std::uint32_t>& next = found->second.next[place.from_client ? 0 : 1];
        const std::size_t missing = next == tcp->sequence ? 0 : std::min(place.of_before, tcp->payload.size());
        const bool syn = tcp->flags & protocol::tcp_flag::syn, fin = tcp->flags & protocol::tcp_flag::fin;
        if (missing > 0 && missing == tcp->payload.size()) {
            if (is_new) conversations_.erase(found);
            entry.left_out = true;
            return entry;
        }
        next = tcp->sequence + static_cast<std::uint32_t>(tcp->payload.size() + (syn || fin ? 1 : 0));
        if (is_new && place.whose) entry.comments.push_back(*place.whose);
        if (missing > 0) {
            entry.comments.push_back("the message before this one is left out: its beginning is not in this file");
            protocol::leave_out_first(packet.bytes, missing);
        }
        if (fin) ++found->second.ends;
        if (tcp->flags & protocol::tcp_flag::rst || found->second.ends == 2) conversations_.erase(found);
    }
    if (!packet.comment.empty()) entry.comments.push_back(std::move(packet.comment));
    return entry;
}

}  // namespace proxy
