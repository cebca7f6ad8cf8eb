#include "proxy/capture/capture.hpp"

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_filter.hpp"

namespace proxy {
namespace {

using Steady = std::chrono::steady_clock;

/// Hosts have few addresses.
constexpr std::size_t max_names = 1'000;
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

}  // namespace proxy
