#include "proxy/capture/running_captures.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/capture/capture_filter.hpp"
#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

std::shared_ptr<CaptureNote> note_of(const CaptureStatus& status) {
    auto note = std::make_shared<CaptureNote>();
    note->id = status.id;
    note->by = status.by;
    note->payload = to_string(status.order.payload);
    note->trigger = status.order.failures_only ? "failures" : "all";
    note->filter = filter_text(status.order.filter);
    note->keylog = status.order.keylog;
    note->allow_secrets = status.order.allow_secrets;
    note->where = status.where;
    note->until = status.until;
    note->sessions = status.sessions;
    note->packets = status.packets;
    note->bytes = status.bytes;
    note->dropped = status.dropped;
    note->left_out = status.left_out;
    note->not_entered = status.not_entered;
    note->entries_dropped = status.entries_dropped;
    note->rests = status.rests;
    note->files_removed = status.files_removed;
    note->reason = status.reason;
    note->stopped_by = status.stopped_by;
    return note;
}

CaptureStatus last_status(const Capture& capture, CaptureEnd end, const std::string& why) {
    CaptureStatus status = capture.status();
    status.state = is_failure(end) ? CaptureState::failed : CaptureState::ended;
    status.ended = std::chrono::system_clock::now();
    status.reason = label(end);
    status.message = why;
    if (status.stopped_by.empty()) status.stopped_by = status.reason;
    return status;
}

}  // namespace

void RunningCaptures::use(Settings settings) {
    const std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
}

RunningCaptures::Settings RunningCaptures::settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
}

/// Empty: it may begin. Under the lock.
std::string RunningCaptures::why_not(const CaptureOrder& order) const {
    if (over_) return "the process ends";
    if (running_.size() >= max_running) return std::to_string(max_running) + " captures run already: stop one of them";
    if ((order.keylog || order.allow_secrets) && !settings_.config.allow_secrets)
        return "it would hold secrets: set allow_secrets = true in [capture] first";
    for (const std::string& name : order.filter.listeners) {
        const auto& known = settings_.listeners;
        if (std::find(known.begin(), known.end(), name) == known.end())
            return "there is no listener \"" + protocol::printable(name) + "\"";
    }
    return {};
}

std::string RunningCaptures::dir(const Settings& settings) {
    return (std::filesystem::path(settings.state_dir) / settings.config.dir).lexically_normal().string();
}

/// Those of captures that are over. They may have a last line to write, so not under the lock.
void RunningCaptures::forget_finished_threads() {
    std::list<Thread> finished;
    {
        const std::lock_guard lock(mutex_);
        for (auto one = threads_.begin(); one != threads_.end();) {
            const auto next = std::next(one);
            if (one->done && one->thread) finished.splice(finished.end(), threads_, one);
            one = next;
        }
    }
    for (const Thread& one : finished) one.thread->end_within(std::chrono::seconds(1));
}

/// Sessions are asked about it from now on. Its number is given out here, under the same lock, and
/// what spoke against it is asked again: others may have begun meanwhile. Empty: it has begun.
std::string RunningCaptures::publish(const std::shared_ptr<Capture>& capture, Wanted wanted) {
    const std::lock_guard lock(mutex_);
    std::string why = why_not(capture->order());
    if (!why.empty()) return why;
    capture->number(next_id_);
    running_.push_back({capture, wanted});
    ++next_id_;
    ++count_;
    return why;
}

CaptureStarted RunningCaptures::start(CaptureOrder order, Wanted wanted, OwnedDescriptor client) {
    forget_finished_threads();
    CaptureFiles::Settings files;
    {
        const std::lock_guard lock(mutex_);
        const std::string why = why_not(order);
        if (!why.empty()) return CaptureRefused{why};
        const config::Capture& config = settings_.config;
        files = {.dir = dir(settings_),
                 .file = {},
                 .max_file_size = config.max_file_size,
                 .max_total_size = config.max_total_size,
                 .min_free_space = config.min_free_space,
                 .max_file_age = config.max_file_age};
    }
    // The disk may take its time.
    std::shared_ptr<Capture> capture;
    CaptureStatus status;
    std::shared_ptr<CaptureNote> note;
    try {
        constexpr std::uint64_t none_yet = 0;
        capture = std::make_shared<Capture>(none_yet, std::move(order), files, std::move(client));
        status = capture->status();
        note = note_of(status);
        if (const std::string why = publish(capture, wanted); !why.empty()) {
            capture->discard();
            return CaptureRefused{why};
        }
    } catch (const std::exception& refused) {
        if (capture) capture->discard();
        return CaptureRefused{refused.what()};
    }
    // From here on it has an end, whatever there is no memory for.
    const std::uint64_t id = status.id = note->id = capture->id();
    try {
        // Before its thread is there, which may end it at once.
        spdlog::info("capture {} by {}: started, into {}{}", id, note->by, note->where,
                     note->until ? ", until " + utc_text(*note->until) : "");
        if (!status.warning.empty()) spdlog::warn("capture {} by {}: {}", id, note->by, status.warning);
        record({.kind = EventKind::capture_started, .capture = note});
        const std::lock_guard lock(mutex_);
        Thread& thread = threads_.emplace_back();
        thread.id = id;
        thread.thread = std::make_unique<OwnThread>([self = shared_from_this(), capture] { self->write(*capture); });
    } catch (const std::exception& error) {
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(threads_, [](const Thread& one) { return !one.thread; });
        }
        capture->end(CaptureEnd::failed);
        std::string same;
        capture->run(same);  // sessions may have it already: what it writes to is closed
        ended(*capture, CaptureEnd::failed, error.what());
        return CaptureRefused{error.what()};
    }
    try {
        const std::lock_guard uses(uses_mutex_);
        if (uses_.started) uses_.started();
    } catch (const std::exception& error) {
        // It runs all the same: nobody may start it again.
        spdlog::error("capture {}: sessions that were open before may not enter: {}", id, error.what());
    }
    return status;
}

/// The thread of a capture.
void RunningCaptures::write(Capture& capture) noexcept {
    std::string why;
    const CaptureEnd end = capture.run(why);
    ended(capture, end, why);
}

/// Once for each, whoever is first: its thread, or the end of the process that waits no longer.
void RunningCaptures::ended(Capture& capture, CaptureEnd end, const std::string& why) noexcept {
    std::optional<CaptureStatus> last;
    try {
        last = last_status(capture, end, why);
    } catch (const std::bad_alloc&) {
        // It is over all the same.
    }
    {
        const std::lock_guard lock(mutex_);
        for (Thread& one : threads_) one.done = one.done || one.id == capture.id();
        if (std::erase_if(running_, [&](const One& one) { return one.capture->id() == capture.id(); }) == 0) return;
        --count_;
        if (last) remember(*last);
    }
    try {
        std::shared_ptr<CaptureNote> note = note_of(last ? *last : last_status(capture, end, why));
        const std::string by = note->stopped_by == note->reason ? "" : " by " + note->stopped_by;
        spdlog::log(
            is_failure(end) ? spdlog::level::err : spdlog::level::info,
            "capture {} by {}: stopped ({}{}){}{}: {} sessions, {} packets, {} bytes, {} packets and {} audit events "
            "dropped, {} sessions left out, {} not entered, {} older files removed",
            note->id, note->by, note->reason, by, why.empty() ? "" : ": ", why, note->sessions, note->packets,
            note->bytes, note->dropped, note->entries_dropped, note->left_out, note->not_entered, note->files_removed);
        record({.kind = EventKind::capture_stopped, .message = why, .capture = std::move(note)});
    } catch (const std::exception& error) {
        spdlog::error("capture {}: stopped: {}", capture.id(), error.what());
    }
}

void RunningCaptures::record(Event&& event) noexcept {
    const std::lock_guard lock(uses_mutex_);
    if (uses_.record) uses_.record(std::move(event));
}

/// Under the lock. Without memory it is not shown.
void RunningCaptures::remember(const CaptureStatus& status) noexcept {
    try {
        past_.push_back(status);
        if (past_.size() > max_shown) past_.pop_front();
    } catch (const std::bad_alloc&) {
        spdlog::warn("capture {}: over, and not shown any more: out of memory", status.id);
    }
}

void RunningCaptures::failed_to_start(CaptureOrder order, const std::string& why) {
    CaptureStatus status;
    status.state = CaptureState::failed;
    status.by = order.by;
    status.where = dir(settings());
    status.order = std::move(order);
    status.started = std::chrono::system_clock::now();
    status.ended = status.started;
    status.warning = warning_of(status.order.filter);
    status.message = "not started: " + why;
    const std::lock_guard lock(mutex_);
    remember(status);
}

std::vector<CaptureStatus> RunningCaptures::past() const {
    const std::lock_guard lock(mutex_);
    return {past_.begin(), past_.end()};
}

bool RunningCaptures::closed() const {
    const std::lock_guard lock(mutex_);
    return over_;
}

bool RunningCaptures::stop(std::uint64_t id, CaptureEnd why, std::string by) {
    const std::lock_guard lock(mutex_);
    for (const One& one : running_) {
        if (one.capture->id() != id) continue;
        one.capture->end(why, std::move(by));
        return true;
    }
    return false;
}

void RunningCaptures::end_after(std::uint64_t id, std::chrono::milliseconds from_now) {
    const std::lock_guard lock(mutex_);
    for (const One& one : running_) {
        if (one.capture->id() != id || one.capture->over()) continue;
        one.capture->end_after(from_now);
        spdlog::info("capture {}: its end has moved", id);
    }
}

bool RunningCaptures::stop_commands(const std::string& by) {
    const std::lock_guard lock(mutex_);
    bool any = false;
    for (const One& one : running_) {
        if (one.wanted != Wanted::by_command) continue;
        one.capture->end(CaptureEnd::stopped, by);
        any = true;
    }
    return any;
}

bool RunningCaptures::runs(std::uint64_t id) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(running_.begin(), running_.end(), [&](const One& one) { return one.capture->id() == id; });
}

std::vector<CaptureStatus> RunningCaptures::status() const {
    std::vector<std::shared_ptr<Capture>> captures;
    {
        const std::lock_guard lock(mutex_);
        for (const One& one : running_) captures.push_back(one.capture);
    }
    std::vector<CaptureStatus> all;
    for (const auto& capture : captures) all.push_back(capture->status());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return all;
}

std::vector<std::shared_ptr<Capture>> RunningCaptures::since(std::uint64_t id) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Capture>> all;
    for (const One& one : running_) {
        if (one.capture->id() > id && !one.capture->over()) all.push_back(one.capture);
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->id() < b->id(); });
    return all;
}

void RunningCaptures::close() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    const std::lock_guard lock(uses_mutex_);
    uses_.started = nullptr;
}

void RunningCaptures::end(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::list<Thread> threads;
    close();
    {
        const std::lock_guard lock(mutex_);
        for (const One& one : running_) one.capture->end(CaptureEnd::shutdown);
        threads.swap(threads_);
    }
    for (const Thread& one : threads) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        one.thread->end_within(std::max(left, std::chrono::milliseconds(0)));
    }
    std::vector<std::shared_ptr<Capture>> left_behind;
    {
        const std::lock_guard lock(mutex_);
        for (const One& one : running_) left_behind.push_back(one.capture);
    }
    for (const auto& capture : left_behind) {
        const bool to_client = capture->status().where == "client";
        ended(*capture, to_client ? CaptureEnd::client : CaptureEnd::disk,
              std::string("what is not written yet is lost: the ") + (to_client ? "client" : "disk") +
                  " does not answer");
    }
    const std::lock_guard lock(uses_mutex_);
    uses_ = {};
}

}  // namespace proxy
