#include "proxy/capture/capture.hpp"

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_time.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
namespace pcapng = protocol::pcapng;

/// How often the disk, the file and the client are looked at, whatever comes.
constexpr auto look_interval = 500ms;
/// One write has about this much.
constexpr std::size_t chunk_size = 256 * 1024;
/// Hosts have few addresses.
constexpr std::size_t max_names = 1'000;
/// For the names of those that have a file to themselves.
constexpr std::uint64_t no_limit = 0;

}  // namespace

Capture::Capture(std::uint64_t id, CaptureOrder order, CaptureFiles::Settings files, std::size_t queue_bytes)
    : id_(id), order_(std::move(order)), max_size_(order_.max_size), queue_(queue_bytes), out_([&]() -> Out {
          if (order_.stream >= 0) return Out(std::in_place_type<CaptureStream>, order_.stream);
          files.file = order_.file;
          return Out(std::in_place_type<CaptureFiles>, files, started_);
      }()) {
    if (!order_.file.empty() && !max_size_ && files.max_total_size != no_limit) max_size_ = files.max_total_size;
    if (const auto* made = std::get_if<CaptureFiles>(&out_)) path_ = made->path();
}

void Capture::end(CaptureEnd why) noexcept {
    auto none = CaptureEnd::none;
    end_.compare_exchange_strong(none, why);
    queue_.close();
}

CaptureStatus Capture::status() const {
    CaptureStatus status;
    status.id = id_;
    status.ending = over();
    status.by = order_.by;
    status.order = order_;
    status.order.stream = -1;  // ours alone
    status.started = started_;
    const auto* files = std::get_if<CaptureFiles>(&out_);
    status.where = files ? files->where() : "client";
    if (order_.lasts) status.until = started_ + *order_.lasts;
    status.sessions = sessions_;
    status.packets = packets_;
    status.bytes = bytes_;
    const std::lock_guard lock(mutex_);
    status.file = path_;
    for (const CaptureInterface& one : interfaces_) status.dropped += one.dropped;
    return status;
}

CaptureInterface& Capture::interface(const std::string& name, const std::string& description) {
    const std::lock_guard lock(mutex_);
    const auto known = std::find_if(interfaces_.begin(), interfaces_.end(),
                                    [&](const CaptureInterface& one) { return one.name == name; });
    if (known != interfaces_.end()) return *known;
    CaptureInterface& made = interfaces_.emplace_back();
    made.number = static_cast<std::uint32_t>(interfaces_.size() - 1);
    made.name = name;
    made.description = description;
    return made;
}

void Capture::name(const std::string& address, const std::string& host) {
    const std::lock_guard lock(mutex_);
    if (names_.size() < max_names) names_.emplace(address, host);
}

void Capture::push(CaptureItem item) noexcept {
    if (!over()) queue_.push(std::move(item));
}

void Capture::write(CapturePacket packet) noexcept {
    if (over()) return;
    CaptureInterface& interface = *packet.interface;
    const std::uint64_t dropped = packet.dropped = interface.untold.exchange(0);
    const std::chrono::nanoseconds time(packet.time);
    if (queue_.push({.packet = std::move(packet),
                     .time = std::chrono::system_clock::time_point(
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(time))})) {
        ++interface.packets;
    } else {
        ++interface.dropped;
        interface.untold += dropped + 1;
    }
}

void Capture::write_journal(protocol::Buffer blocks) noexcept {
    push({.blocks = std::move(blocks), .time = std::chrono::system_clock::now()});
}

void Capture::write_secrets(std::uint64_t session, std::string lines) noexcept {
    push({.time = std::chrono::system_clock::now(), .session = session, .secrets = std::move(lines)});
}

void Capture::forget_secrets(std::uint64_t session) noexcept {
    push({.time = std::chrono::system_clock::now(), .session = session});
}

// --- The thread that writes

CaptureEnd Capture::run(std::string& why) noexcept {
    CaptureEnd ended = CaptureEnd::failed;
    try {
        ended = write_all();
    } catch (const CaptureOver& over) {
        ended = over.end();
        why = over.what();
    } catch (const std::exception& error) {
        why = error.what();
    }
    end(ended);
    bytes_ = written();
    try {
        // Whatever became of the disk: the last words are short, and no half of them stays.
        protocol::Buffer last;
        if (ended != CaptureEnd::removed && ended != CaptureEnd::disk) {
            end_file(last);
            flush(last);
        }
    } catch (const std::exception&) {
        // The file is whole without them.
    }
    // Now, for a session that says nothing more holds on to us.
    std::visit([](auto& out) { out.close(); }, out_);
    try {
        queue_.take(Steady::now());
        queue_.take(Steady::now());  // what came while the first was taken
    } catch (const std::exception&) {
        // It goes with us.
    }
    flows_.begin_file();
    secrets_.clear();
    return ended;
}

/// When the thread has something to do although nothing comes.
Steady::time_point Capture::due() const {
    const auto next = Steady::now() + look_interval;
    return order_.lasts ? std::min<Steady::time_point>(next, began_ + *order_.lasts) : next;
}

CaptureEnd Capture::write_all() {
    protocol::Buffer chunk;
    begin_file(chunk);
    flush(chunk);
    for (;;) {
        BoundedQueue<CaptureItem>::Batch batch = queue_.take(due());
        for (CaptureItem& item : batch.items) {
            // What came late, because the disk was: nothing outlives the time that was asked for.
            if (order_.lasts && item.time > started_ + *order_.lasts) continue;
            take(item, chunk);
            item = {};
            if (max_size_ && written() >= *max_size_) return CaptureEnd::size;
        }
        flush(chunk);
        if (batch.closed) return end_;
        if (order_.lasts && Steady::now() - began_ >= *order_.lasts) return CaptureEnd::time;
        std::visit([](auto& out) { out.look(); }, out_);
    }
}

void Capture::take(CaptureItem& item, protocol::Buffer& chunk) {
    if (item.session != 0 && item.secrets.empty()) {
        secrets_.erase(item.session);
        return;
    }
    constexpr std::size_t around = 256;  // a packet's bytes: at most, but for what is told of it
    std::size_t size = item.blocks.size() + item.secrets.size();
    if (item.packet) {
        const CapturePlace& place = item.packet->place;
        size +=
            item.packet->bytes.size() + item.packet->comment.size() + (place.whose ? place.whose->size() : 0) + around;
    }
    auto* const files = std::get_if<CaptureFiles>(&out_);
    if (files && file_has_packets_ && files->wants_next(chunk.size() + size)) {
        end_file(chunk);
        flush(chunk);
        files->next_file();
        {
            const std::lock_guard lock(mutex_);
            path_ = files->path();
        }
        begin_file(chunk);
    }
    declare(chunk);
    if (item.session != 0) {
        secrets_[item.session] += item.secrets;
        pcapng::append_secrets(chunk, item.secrets);
    }
    chunk.insert(chunk.end(), item.blocks.begin(), item.blocks.end());
    if (item.packet) append(*item.packet, chunk);
    file_has_packets_ = true;
    if (chunk.size() >= chunk_size) flush(chunk);
}

/// But for what no reader would understand here.
void Capture::append(CapturePacket& packet, protocol::Buffer& chunk) {
    const CaptureFlows::Entry entry = flows_.enter(packet);
    if (entry.left_out) {
        --packet.interface->packets;
        ++packet.interface->dropped;
        packet.interface->untold += packet.dropped + 1;
        return;
    }
    pcapng::append_packet(chunk, {.interface = packet.interface->number,
                                  .time = packet.time,
                                  .bytes = packet.bytes,
                                  .direction = packet.direction,
                                  .id = packet.id,
                                  .dropped = packet.dropped,
                                  .process = packet.process,
                                  .comments = entry.comments});
    ++packets_;
}

/// What makes a file readable alone.
void Capture::begin_file(protocol::Buffer& chunk) {
    declared_interfaces_ = declared_names_ = 0;
    file_has_packets_ = false;
    flows_.begin_file();
    const std::string comment = "capture " + std::to_string(id_) + " by " + order_.by +
                                "; payload=" + std::string(to_string(order_.payload)) +
                                (order_.failures_only ? "; failures only" : "");
    pcapng::append_section(chunk, "pgairlock " + version(), {}, comment);
    declare(chunk);
    for (const auto& [session, lines] : secrets_) pcapng::append_secrets(chunk, lines);
}

/// Interfaces and names that came up since.
void Capture::declare(protocol::Buffer& chunk) {
    const std::lock_guard lock(mutex_);
    for (; declared_interfaces_ < interfaces_.size(); ++declared_interfaces_) {
        const CaptureInterface& one = interfaces_[declared_interfaces_];
        pcapng::append_interface(chunk, one.name, one.description);
    }
    if (declared_names_ == names_.size()) return;
    std::vector<pcapng::Name> names;
    for (const auto& [address, host] : names_) names.push_back({address, host});
    pcapng::append_names(chunk, names);
    declared_names_ = names_.size();
}

void Capture::end_file(protocol::Buffer& chunk) {
    declare(chunk);
    const std::uint64_t now = capture_time(std::chrono::system_clock::now());
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < interfaces_.size(); ++i) {
        const std::uint64_t dropped = interfaces_[i].dropped;
        pcapng::append_statistics(
            chunk, {.interface = i, .time = now, .received = interfaces_[i].packets + dropped, .dropped = dropped});
    }
}

void Capture::flush(protocol::Buffer& chunk) {
    if (chunk.empty()) return;
    std::visit([&](auto& out) { out.write(chunk); }, out_);
    bytes_ = written();
    chunk.clear();
}

std::uint64_t Capture::written() const {
    return std::visit([](const auto& out) { return out.written(); }, out_);
}

}  // namespace proxy
