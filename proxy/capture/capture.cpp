#include "proxy/capture/capture.hpp"

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_entry.hpp"
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
    : id_(id),
      order_(std::move(order)),
      lasts_(order_.lasts ? order_.lasts->count() : for_ever),
      max_size_(order_.max_size),
      queue_(queue_bytes),
      out_([&]() -> Out {
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

void Capture::end_after(std::chrono::milliseconds from_now) noexcept {
    lasts_ = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began_ + from_now).count();
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
    if (const std::int64_t lasts = lasts_; lasts != for_ever) {
        status.order.lasts = std::chrono::milliseconds(lasts);
        status.until = started_ + *status.order.lasts;
    }
    status.sessions = sessions_;
    status.packets = packets_;
    status.bytes = bytes_;
    status.left_out = sessions_left_out;
    status.not_entered = sessions_not_entered;
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
    if (queue_.push({.packet = std::move(packet), .came = Steady::now()})) {
        ++interface.packets;
    } else {
        ++interface.dropped;
        interface.untold += dropped + 1;
    }
}

void Capture::write_journal(protocol::Buffer blocks) noexcept {
    push({.blocks = std::move(blocks), .came = Steady::now()});
}

/// Beside the queue, which may be full: the next block that is written has them before it.
void Capture::write_secrets(std::uint64_t session, std::string_view lines) noexcept {
    if (over()) return;
    try {
        const std::lock_guard lock(mutex_);
        if (secrets_size_ + lines.size() <= max_secrets && new_secrets_.size() + lines.size() <= max_secrets) {
            new_secrets_ += lines;
            secrets_[session] += lines;
            secrets_size_ += lines.size();
            return;
        }
    } catch (const std::bad_alloc&) {
        // As when there is no room.
    }
    count_left_out();
}

/// Behind the packets that need them, where there is room for that.
void Capture::forget_secrets(std::uint64_t session) noexcept {
    if (over() || !queue_.push({.forgets = session, .came = Steady::now()})) drop_secrets(session);
}

void Capture::drop_secrets(std::uint64_t session) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = secrets_.find(session);
    if (found == secrets_.end()) return;
    secrets_size_ -= std::min(secrets_size_, found->second.size());
    secrets_.erase(found);
}

// --- The thread that writes

CaptureEnd Capture::run(std::string& why) noexcept {
    CaptureEnd ended = CaptureEnd::failed;
    const auto say = [&why](const char* what) noexcept {
        try {
            why = what;
        } catch (const std::bad_alloc&) {
            // Its word says enough.
        }
    };
    try {
        ended = write_all();
    } catch (const CaptureOver& over) {
        ended = over.end();
        say(over.what());
    } catch (const std::exception& error) {
        say(error.what());
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
    const std::lock_guard lock(mutex_);
    secrets_.clear();
    std::string().swap(new_secrets_);
    return ended;
}

Steady::time_point Capture::deadline() const noexcept {
    const std::int64_t lasts = lasts_;
    return lasts == for_ever ? Steady::time_point::max() : began_ + std::chrono::milliseconds(lasts);
}

/// When the thread has something to do although nothing comes.
Steady::time_point Capture::due() const {
    const auto next = Steady::now() + look_interval;
    return std::min(next, deadline());
}

CaptureEnd Capture::write_all() {
    protocol::Buffer chunk;
    begin_file(chunk);
    flush(chunk);
    for (;;) {
        BoundedQueue<CaptureItem>::Batch batch = queue_.take(due());
        for (CaptureItem& item : batch.items) {
            // What came late, because the disk was: nothing outlives the time that was asked for.
            if (item.came > deadline()) {
                if (item.packet) count_dropped(*item.packet);
                continue;
            }
            take(item, chunk);
            item = {};
            if (max_size_ && written() >= *max_size_) return CaptureEnd::size;
        }
        flush(chunk);
        if (batch.closed) return end_;
        if (Steady::now() >= deadline()) return CaptureEnd::time;
        std::visit([](auto& out) { out.look(); }, out_);
    }
}

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
    chunk.insert(chunk.end(), item.blocks.begin(), item.blocks.end());
    if (item.packet) append(*item.packet, chunk);
    file_has_packets_ = true;
    if (chunk.size() >= chunk_size) flush(chunk);
}

/// After all.
void Capture::count_dropped(const CapturePacket& packet) noexcept {
    --packet.interface->packets;
    ++packet.interface->dropped;
    packet.interface->untold += packet.dropped + 1;
}

/// But for what no reader would understand here.
void Capture::append(CapturePacket& packet, protocol::Buffer& chunk) {
    const CaptureFlows::Entry entry = flows_.enter(packet);
    if (entry.left_out) return count_dropped(packet);
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

void Capture::end_file(protocol::Buffer& chunk) {
    declare(chunk);
    const protocol::Buffer absent =
        absences_entry({.left_out = sessions_left_out, .not_entered = sessions_not_entered}, id_);
    chunk.insert(chunk.end(), absent.begin(), absent.end());
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
