#include "proxy/capture/capture.hpp"

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_entry.hpp"
#include "proxy/capture/capture_filter.hpp"
#include "proxy/capture/capture_time.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
namespace pcapng = protocol::pcapng;

/// How often the disk, the file and the client are looked at, whatever comes.
constexpr auto look_interval = 500ms;
constexpr auto gathering = 20ms;
/// One write has about this much.
constexpr std::size_t chunk_size = 256 * 1024;
/// Hosts have few addresses.
constexpr std::size_t max_names = 1'000;
/// Bytes of entries about sessions at the end: the count there tells of those that find no room.
constexpr std::size_t max_last_entries = 64 * 1024;
/// For the names of those that have a file to themselves.
constexpr std::uint64_t no_limit = 0;

}  // namespace

Capture::Capture(std::uint64_t id, CaptureOrder order, CaptureFiles::Settings files, OwnedDescriptor client,
                 CaptureLimits limits)
    : id_(id),
      order_(std::move(order)),
      lasts_(order_.lasts ? order_.lasts->count() : for_ever),
      drain_(limits.drain),
      max_size_(order_.max_size),
      queue_(limits.queue_bytes),
      out_([&]() -> Out {
          if (client) return Out(std::in_place_type<CaptureStream>, std::move(client), [this] { return given_up(); });
          files.file = order_.file;
          return Out(std::in_place_type<CaptureFiles>, files, started_);
      }()) {
    if (!order_.file.empty() && !max_size_ && files.max_total_size != no_limit) max_size_ = files.max_total_size;
    if (const auto* made = std::get_if<CaptureFiles>(&out_)) {
        path_ = made->path();
        files_removed_ = made->removed();
    }
}

void Capture::end(CaptureEnd why, std::string by) noexcept {
    const auto patience = why == CaptureEnd::shutdown ? std::min(drain_, drain_of_shutdown) : drain_;
    const std::int64_t at =
        std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began_ + patience).count();
    for (std::int64_t before = given_up_; before == for_ever || at < before;) {
        if (given_up_.compare_exchange_weak(before, at)) break;
    }
    {
        const std::lock_guard lock(mutex_);
        if (end_ == CaptureEnd::none) {
            stopped_by_ = std::move(by);
            end_ = why;
        }
    }
    queue_.close();
}

void Capture::discard() noexcept {
    if (auto* const files = std::get_if<CaptureFiles>(&out_)) files->remove_empty();
}

void Capture::end_after(std::chrono::milliseconds from_now) noexcept {
    lasts_ = std::chrono::ceil<std::chrono::milliseconds>(Steady::now() - began_ + from_now).count();
}

CaptureStatus Capture::status() const {
    CaptureStatus status;
    status.id = id_;
    status.state = over() ? CaptureState::ending : CaptureState::running;
    status.by = order_.by;
    status.order = order_;
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
    status.entries_dropped = entries_dropped_;
    status.files_removed = files_removed_;
    status.warning = warning_of(order_.filter);
    const std::lock_guard lock(mutex_);
    status.file = path_;
    status.stopped_by = stopped_by_;
    status.not_entered = not_entered();
    for (const CaptureInterface& one : interfaces_) {
        status.dropped += one.dropped;
        status.rests += one.rests;
    }
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

void Capture::write(CapturePacket packet) noexcept {
    if (over()) return;
    CaptureInterface& interface = *packet.interface;
    const std::uint64_t dropped = packet.dropped = interface.untold.exchange(0);
    ++interface.packets;  // first: the thread that writes may take it back before this one goes on
    if (!queue_.push({.packet = std::move(packet), .came = Steady::now()})) count_dropped(interface, dropped);
}

void Capture::write_journal(protocol::Buffer blocks) noexcept {
    if (!over() && !queue_.push({.blocks = std::move(blocks), .came = Steady::now()})) ++entries_dropped_;
}

/// Beside the queue, which may be full: the next block that is written has them before it.
bool Capture::write_secrets(std::uint64_t session, std::string_view lines) noexcept {
    if (over()) return true;
    try {
        const std::lock_guard lock(mutex_);
        if (secrets_size_ + lines.size() <= max_secrets && new_secrets_.size() + lines.size() <= max_secrets) {
            new_secrets_ += lines;
            secrets_[session] += lines;
            secrets_size_ += lines.size();
            return true;
        }
    } catch (const std::bad_alloc&) {
        // As when there is no room.
    }
    return false;
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

void Capture::login_begins(std::uint64_t session, const SessionRecord& record) {
    // Who it is, as far as that is known. The record itself changes meanwhile.
    SessionRecord who;
    who.session = record.session;
    who.listener = record.listener;
    who.client_addr = record.client_addr;
    who.client_port = record.client_port;
    who.usename = record.usename;
    who.datname = record.datname;
    who.application_name = record.application_name;
    who.ssl = record.ssl;
    const std::lock_guard lock(mutex_);
    if (!over()) logins_.insert_or_assign(session, std::move(who));
}

bool Capture::login_ended(std::uint64_t session) noexcept {
    const std::lock_guard lock(mutex_);
    if (over()) return !logins_.contains(session);
    logins_.erase(session);
    return true;
}

/// Under the lock.
std::uint64_t Capture::not_entered() const noexcept { return sessions_not_entered + (over() ? logins_.size() : 0); }

// --- The thread that writes

CaptureEnd Capture::run(std::string& why) noexcept {
    CaptureEnd broken = CaptureEnd::none;
    const auto say = [&why](const char* what) noexcept {
        try {
            why = what;
        } catch (const std::bad_alloc&) {
            // Its word says enough.
        }
    };
    try {
        write_all();
    } catch (const CaptureOver& over) {
        broken = over.end();
        say(over.what());
    } catch (const std::exception& error) {
        broken = CaptureEnd::failed;
        say(error.what());
    }
    if (broken == CaptureEnd::client && Steady::now() >= deadline()) broken = CaptureEnd::time;
    if (broken != CaptureEnd::none) end(broken);
    if (why.empty()) say(why_not_all_.c_str());
    // A client that goes once it is over anyway is not why.
    const CaptureEnd ended = is_failure(broken) ? broken : end_.load();
    settle(0);
    drop_what_waits();
    bytes_ = written();
    write_last(ended);
    // Now, for a session that says nothing more holds on to us.
    std::visit([](auto& out) { out.close(); }, out_);
    drop_what_waits();
    flows_.begin_file();
    const std::lock_guard lock(mutex_);
    secrets_.clear();
    std::string().swap(new_secrets_);
    return ended;
}

/// Whatever became of the disk: the last words are short, and no half of them stays.
void Capture::write_last(CaptureEnd ended) noexcept {
    if (ended == CaptureEnd::removed || ended == CaptureEnd::disk) return;
    // Without its beginning, they would be no file.
    if (std::visit([](const auto& out) { return out.is_empty(); }, out_)) return;
    try {
        protocol::Buffer last;
        name_outlived(last);
        end_file(last, false);
        flush(last);
    } catch (const std::exception&) {
        // The file is whole without them.
    }
}

/// As many of those whose login has not ended as there is room for.
void Capture::name_outlived(protocol::Buffer& chunk) {
    auto* const files = std::get_if<CaptureFiles>(&out_);
    const std::lock_guard lock(mutex_);
    for (const auto& [session, record] : logins_) {
        const protocol::Buffer entry = absence_entry(record, protocol::Absence::login_outlived, id_);
        const std::size_t size = chunk.size() + entry.size();
        if (size > max_last_entries || (files && files->room_for(size) != CaptureFiles::Room::here)) return;
        chunk.insert(chunk.end(), entry.begin(), entry.end());
    }
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

/// Of what waits; not before it is over.
Steady::time_point Capture::given_up() const noexcept {
    const std::int64_t at = given_up_;
    const auto last = deadline();
    const auto by_time = last == Steady::time_point::max() ? last : last + drain_;
    return at == for_ever ? by_time : std::min(by_time, began_ + std::chrono::milliseconds(at));
}

void Capture::write_all() {
    protocol::Buffer chunk;
    begin_file(chunk);
    flush(chunk);
    for (;;) {
        // Together: a thread that is woken for each packet costs more than the packets.
        BoundedQueue<CaptureItem>::Batch batch = queue_.take(due(), gathering);
        write_batch(batch, chunk);
        flush(chunk);
        if (batch.closed) return;
        if (Steady::now() >= deadline()) end(CaptureEnd::time);  // what came until now is in the next batch
        std::visit([](auto& out) { out.look(); }, out_);
    }
}

/// What is not written of it is dropped, and counted, also when this throws.
void Capture::write_batch(BoundedQueue<CaptureItem>::Batch& batch, protocol::Buffer& chunk) {
    try {
        for (CaptureItem& item : batch.items) {
            if (!full_ && Steady::now() >= given_up()) {
                full_ = true;
                why_not_all_ = "what was not written in time after its end is dropped";
            }
            // What came after the time that was asked for, because the disk was late, as well.
            if (full_ || item.came > deadline()) {
                drop(item);
                continue;
            }
            take(item, chunk);
            item = {};
            if (!max_size_ || written() + chunk.size() < *max_size_) continue;
            full_ = true;
            end(CaptureEnd::size);
        }
    } catch (...) {
        drop_all(batch);
        throw;
    }
}

void Capture::drop(CaptureItem& item) noexcept {
    if (item.packet) {
        count_dropped(*item.packet);
    } else if (!item.blocks.empty()) {
        ++entries_dropped_;
    }
    item = {};
}

void Capture::drop_all(BoundedQueue<CaptureItem>::Batch& batch) noexcept {
    for (CaptureItem& item : batch.items) drop(item);
}

void Capture::drop_what_waits() noexcept {
    try {
        // What comes meanwhile as well; and the queue is told that there is nothing left of it.
        for (int i = 0; i < 2; ++i) {
            BoundedQueue<CaptureItem>::Batch batch = queue_.take(Steady::now());
            drop_all(batch);
        }
    } catch (const std::exception&) {
        // It goes with us.
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
