#include "proxy/capture/running_captures.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/capture/capture_filter.hpp"
#include "proxy/capture/capture_note.hpp"
#include "proxy/capture/capture_time.hpp"

namespace proxy {

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

}  // namespace proxy
