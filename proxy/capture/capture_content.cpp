// What stands in a capture's files, in which order, and how many packets got there: the thread that
// writes.
#include <algorithm>
#include <utility>

#include "proxy/capture/capture.hpp"
#include "proxy/capture/capture_entry.hpp"
#include "proxy/capture/capture_filter.hpp"
#include "proxy/capture/capture_time.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

namespace pcapng = protocol::pcapng;

/// One write has about this much.
constexpr std::size_t chunk_size = 256 * 1024;

}  // namespace

void Capture::take(CaptureItem& item, protocol::Buffer& chunk) {
    constexpr std::size_t around = 256;  // a packet's bytes: at most, but for what is told of it
    if (item.forgets != 0) return drop_secrets(item.forgets);
    std::size_t size = item.blocks.size();
    {
        const std::lock_guard lock(mutex_);
        size += new_secrets_.size();
    }
    if (item.packet) {
        const CapturePlace& place = item.packet->place;
        size += item.packet->bytes.size() + item.packet->comment.size() + item.packet->failure.size() +
                (place.whose ? place.whose->size() : 0) + around;
    }
    auto* const files = std::get_if<CaptureFiles>(&out_);
    if (files && file_has_packets_ && !make_place(*files, size, chunk)) return drop(item);
    declare(chunk);
    if (!item.blocks.empty()) {
        chunk.insert(chunk.end(), item.blocks.begin(), item.blocks.end());
        in_chunk_.push_back({.end = chunk.size()});
    }
    if (item.packet) append(*item.packet, chunk);
    item = {};  // counted, whatever becomes of the chunk
    file_has_packets_ = true;
    if (chunk.size() >= chunk_size) flush(chunk);
}

/// For `size` bytes behind the chunk: in the next file, if not in this one. False: nowhere.
bool Capture::make_place(CaptureFiles& files, std::size_t size, protocol::Buffer& chunk) {
    const CaptureFiles::Room room = files.room_for(chunk.size() + size);
    if (room == CaptureFiles::Room::nowhere) {
        why_not_all_ = files.why_full();
        full_ = true;
        end(CaptureEnd::size);
    } else if (room == CaptureFiles::Room::in_next_file) {
        end_file(chunk, true);
        flush(chunk);
        files.next_file();
        {
            const std::lock_guard lock(mutex_);
            path_ = files.path();
        }
        begin_file(chunk);
    }
    files_removed_ = files.removed();
    return room != CaptureFiles::Room::nowhere;
}

/// After all.
void Capture::count_dropped(const CapturePacket& packet) noexcept { count_dropped(*packet.interface, packet.dropped); }

/// `also_untold`: those that the packet was to tell of.
void Capture::count_dropped(CaptureInterface& interface, std::uint64_t also_untold) noexcept {
    --interface.packets;
    ++interface.dropped;
    interface.untold += also_untold + 1;
}

/// Not for lack of room: a reader who began with it would be lost. A later packet says so.
void Capture::count_rest(const CapturePacket& packet) noexcept {
    --packet.interface->packets;
    ++packet.interface->rests;
    packet.interface->untold += packet.dropped;
}

/// But for what no reader would understand here, and what there is no memory for.
void Capture::append(CapturePacket& packet, protocol::Buffer& chunk) {
    const std::size_t whole = chunk.size();
    try {
        const CaptureFlows::Entry entry = flows_.enter(packet);
        if (entry.left_out) return count_rest(packet);
        pcapng::append_packet(chunk, {.interface = packet.interface->number,
                                      .time = packet.time,
                                      .bytes = packet.bytes,
                                      .direction = packet.direction,
                                      .id = packet.id,
                                      .dropped = packet.dropped,
                                      .process = packet.process,
                                      .comments = entry.comments});
        in_chunk_.push_back({packet.interface, chunk.size(), packet.dropped});
    } catch (const std::bad_alloc&) {
        chunk.resize(whole);
        flows_.begin_file();  // it has noted what is not written
        count_dropped(packet);
    }
}

/// What makes a file readable alone.
void Capture::begin_file(protocol::Buffer& chunk) {
    declared_interfaces_ = declared_names_ = 0;
    file_has_packets_ = false;
    flows_.begin_file();
    const std::string only = filter_text(order_.filter);
    const std::string comment =
        "capture " + std::to_string(id_) + " by " + order_.by + "; payload=" + std::string(to_string(order_.payload)) +
        (order_.failures_only ? "; failures only" : "") + (only.empty() ? "" : "; sessions of " + only);
    pcapng::append_section(chunk, "pgairlock " + version(), {}, comment);
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [session, lines] : secrets_) pcapng::append_secrets(chunk, lines);
    }
    declare(chunk);
}

/// Interfaces, names and keys that came up since.
void Capture::declare(protocol::Buffer& chunk) {
    const std::lock_guard lock(mutex_);
    for (; declared_interfaces_ < interfaces_.size(); ++declared_interfaces_) {
        const CaptureInterface& one = interfaces_[declared_interfaces_];
        pcapng::append_interface(chunk, one.name, one.description);
    }
    if (!new_secrets_.empty()) pcapng::append_secrets(chunk, std::exchange(new_secrets_, {}));
    if (declared_names_ == names_.size()) return;
    std::vector<pcapng::Name> names;
    for (const auto& [address, host] : names_) names.push_back({address, host});
    pcapng::append_names(chunk, names);
    declared_names_ = names_.size();
}

void Capture::end_file(protocol::Buffer& chunk, bool goes_on) {
    declare(chunk);
    const std::uint64_t now = capture_time(std::chrono::system_clock::now());
    const std::lock_guard lock(mutex_);
    const protocol::Buffer absent = absences_entry(
        {.left_out = sessions_left_out, .not_entered = not_entered(), .entries = entries_dropped_, .goes_on = goes_on},
        id_);
    chunk.insert(chunk.end(), absent.begin(), absent.end());
    for (std::uint32_t i = 0; i < interfaces_.size(); ++i) {
        const std::uint64_t dropped = interfaces_[i].dropped;
        const std::uint64_t received = interfaces_[i].packets + interfaces_[i].rests + dropped;
        pcapng::append_statistics(chunk, {.interface = i, .time = now, .received = received, .dropped = dropped});
    }
}

void Capture::flush(protocol::Buffer& chunk) {
    if (chunk.empty()) return;
    const std::uint64_t before = written();
    try {
        std::visit([&](auto& out) { out.write(chunk); }, out_);
    } catch (...) {
        settle(written() - before);
        throw;
    }
    settle(chunk.size());
    bytes_ = written();
    chunk.clear();
}

/// Of what is in the chunk, that counts as captured which is within its first bytes, and no more.
void Capture::settle(std::uint64_t done) noexcept {
    for (const InChunk& one : in_chunk_) {
        if (one.interface == nullptr) {
            if (one.end > done) ++entries_dropped_;
        } else if (one.end <= done) {
            ++packets_;
        } else {
            count_dropped(*one.interface, one.untold);
        }
    }
    in_chunk_.clear();
}

std::uint64_t Capture::written() const {
    return std::visit([](const auto& out) { return out.written(); }, out_);
}

}  // namespace proxy
