#include "proxy/capture/running_captures.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

void list(std::string& text, std::string_view key, const std::vector<std::string>& values) {
    for (const std::string& value : values)
        text += (text.empty() ? "" : " ") + std::string(key) + "=" + protocol::printable(value);
}

std::string filter_text(const CaptureFilter& filter) {
    std::string text;
    list(text, "listener", filter.listeners);
    list(text, "user", filter.users);
    list(text, "database", filter.databases);
    list(text, "application_name", filter.application_names);
    if (!filter.client_addrs.empty())
        text += (text.empty() ? "" : " ") + std::string("client_addrs=") + std::to_string(filter.client_addrs.size());
    return text;
}

std::shared_ptr<CaptureNote> note_of(const Capture& capture) {
    const CaptureStatus status = capture.status();
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
    return note;
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

CaptureStarted RunningCaptures::start(CaptureOrder order, Wanted wanted) {
    std::unique_lock lock(mutex_);
    std::erase_if(threads_,
                  [](const Thread& one) { return one.done && one.thread->end_within(std::chrono::seconds(1)); });
    const std::string why = why_not(order);
    if (!why.empty()) {
        lock.unlock();
        if (order.stream >= 0) ::close(order.stream);
        return CaptureRefused{why};
    }
    const config::Capture& config = settings_.config;
    const std::filesystem::path dir = std::filesystem::path(settings_.state_dir) / config.dir;
    const CaptureFiles::Settings files{.dir = dir.lexically_normal().string(),
                                       .file = {},
                                       .max_file_size = config.max_file_size,
                                       .max_total_size = config.max_total_size,
                                       .min_free_space = config.min_free_space,
                                       .max_file_age = config.max_file_age};
    const std::uint64_t id = next_id_++;
    lock.unlock();  // the disk may take its time

    std::shared_ptr<Capture> capture;
    try {
        capture = std::make_shared<Capture>(id, std::move(order), files);
    } catch (const std::exception& refused) {
        return CaptureRefused{refused.what()};
    }
    // From here on it has an end, whatever there is no memory for.
    try {
        const std::shared_ptr<CaptureNote> note = note_of(*capture);
        lock.lock();
        if (over_) return CaptureRefused{"the process ends"};
        running_.push_back({capture, wanted});
        ++count_;
        lock.unlock();

        // Before its thread is there, which may end it at once.
        spdlog::info("capture {} by {}: started, into {}{}", id, note->by, note->where,
                     note->until ? ", until " + utc_text(*note->until) : "");
        record({.kind = EventKind::capture_started, .capture = note});
        lock.lock();
        Thread& thread = threads_.emplace_back();
        thread.id = id;
        thread.thread = std::make_unique<OwnThread>([self = shared_from_this(), capture] { self->write(*capture); });
        lock.unlock();
    } catch (const std::exception& error) {
        if (!lock) lock.lock();
        std::erase_if(threads_, [](const Thread& one) { return !one.thread; });
        lock.unlock();
        capture->end(CaptureEnd::failed);
        ended(*capture, CaptureEnd::failed, error.what());
        return CaptureRefused{error.what()};
    }
    {
        const std::lock_guard uses(uses_mutex_);
        if (uses_.started) uses_.started();
    }
    return capture->status();
}

/// The thread of a capture.
void RunningCaptures::write(Capture& capture) noexcept {
    std::string why;
    const CaptureEnd end = capture.run(why);
    ended(capture, end, why);
}

/// Once for each, whoever is first: its thread, or the end of the process that waits no longer.
void RunningCaptures::ended(Capture& capture, CaptureEnd end, const std::string& why) noexcept {
    {
        const std::lock_guard lock(mutex_);
        for (Thread& one : threads_) one.done = one.done || one.id == capture.id();
        if (std::erase_if(running_, [&](const One& one) { return one.capture->id() == capture.id(); }) == 0) return;
        --count_;
    }
    try {
        std::shared_ptr<CaptureNote> note = note_of(capture);
        note->reason = label(end);
        const bool in_order = end != CaptureEnd::disk && end != CaptureEnd::removed && end != CaptureEnd::failed;
        spdlog::log(in_order ? spdlog::level::info : spdlog::level::err,
                    "capture {} by {}: stopped ({}){}{}: {} sessions, {} packets, {} bytes, {} packets dropped",
                    note->id, note->by, note->reason, why.empty() ? "" : ": ", why, note->sessions, note->packets,
                    note->bytes, note->dropped);
        record({.kind = EventKind::capture_stopped, .message = why, .capture = std::move(note)});
    } catch (const std::exception& error) {
        spdlog::error("capture {}: stopped: {}", capture.id(), error.what());
    }
}

void RunningCaptures::record(Event&& event) noexcept {
    const std::lock_guard lock(uses_mutex_);
    if (uses_.record) uses_.record(std::move(event));
}

bool RunningCaptures::stop(std::uint64_t id, CaptureEnd why) {
    const std::lock_guard lock(mutex_);
    for (const One& one : running_) {
        if (one.capture->id() != id) continue;
        one.capture->end(why);
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

bool RunningCaptures::stop_commands() {
    const std::lock_guard lock(mutex_);
    bool any = false;
    for (const One& one : running_) {
        if (one.wanted != Wanted::by_command) continue;
        one.capture->end(CaptureEnd::stopped);
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
