#include "proxy/capture/capture_flows.hpp"

#include <algorithm>
#include <utility>

#include "protocol/capture_comment.hpp"
#include "protocol/captured_absence.hpp"
#include "protocol/tcp_packet.hpp"
#include "proxy/capture/capture.hpp"

namespace proxy {

void CaptureFlows::begin_file() {
    conversations_.clear();
    has_forgotten_ = false;
}

CaptureFlows::Entry CaptureFlows::enter(CapturePacket& packet) {
    Entry entry;
    const CapturePlace& place = packet.place;
    const auto tcp = place.conversation == 0 ? std::nullopt : protocol::decode_tcp_packet(packet.bytes);
    if (tcp) {
        if (conversations_.size() >= max_conversations && !conversations_.contains(place.conversation)) {
            conversations_.clear();
            has_forgotten_ = true;
        }
        const auto found = conversations_.try_emplace(place.conversation).first;
        bool& untold_rest = found->second.untold_rest[place.from_client ? 0 : 1];
        std::optional<std::uint32_t>& next = found->second.next[place.from_client ? 0 : 1];
        const std::size_t missing = next == tcp->sequence ? 0 : std::min(place.of_before, tcp->payload.size());
        const bool syn = tcp->flags & protocol::tcp_flag::syn, fin = tcp->flags & protocol::tcp_flag::fin;
        if (missing > 0 && missing == tcp->payload.size()) {
            untold_rest = true;
            entry.left_out = true;
            return entry;
        }
        next = tcp->sequence + static_cast<std::uint32_t>(tcp->payload.size() + (syn || fin ? 1 : 0));
        if (!std::exchange(found->second.is_introduced, true) && place.whose) {
            entry.comments.push_back(*place.whose);
            const auto said = protocol::parse_conversation_comment(*place.whose);
            if (said && said->records && !syn && !has_forgotten_)
                entry.comments.emplace_back(sentence(protocol::Absence::records_go_on));
        }
        if (std::exchange(untold_rest, false) || missing > 0)
            entry.comments.emplace_back(sentence(protocol::Absence::message_begun));
        if (missing > 0) protocol::leave_out_first(packet.bytes, missing);
        if (fin) ++found->second.ends;
        if (tcp->flags & protocol::tcp_flag::rst || found->second.ends == 2) conversations_.erase(found);
    }
    if (!packet.comment.empty()) entry.comments.push_back(std::move(packet.comment));
    if (!packet.failure.empty()) entry.comments.push_back(std::move(packet.failure));
    return entry;
}

}  // namespace proxy
