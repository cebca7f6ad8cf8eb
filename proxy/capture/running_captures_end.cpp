// How captures end, and the process with them: each is told and counted once.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_note.hpp"
#include "proxy/capture/running_captures.hpp"

namespace proxy {
namespace {

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
