#include "proxy/capture/captures.hpp"

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

/// How long the end of the process waits for what is not written yet.
constexpr std::chrono::seconds farewell{3};

/// What is known of a session before it says anything.
bool may_be_about(const Capture& capture, const SessionRecord& record) {
    const CaptureFilter& filter = capture.order().filter;
    const auto& listeners = filter.listeners;
    if (!listeners.empty() && std::find(listeners.begin(), listeners.end(), record.listener) == listeners.end())
        return false;
    if (filter.client_addrs.empty()) return true;
    const auto address = protocol::parse_endpoint(record.client_addr);
    return address &&
           std::any_of(filter.client_addrs.begin(), filter.client_addrs.end(),
                       [&](const config::Cidr& range) { return range.contains(protocol::as_v6(*address).address); });
}

}  // namespace

Captures::Captures(Settings settings, Uses uses, std::string proxy)
    : running_(std::make_shared<RunningCaptures>(std::move(settings), std::move(uses))), proxy_(std::move(proxy)) {}

void Captures::begin() {
    windows_ = std::make_shared<CaptureWindows>(running_);
    window_thread_ = std::make_unique<OwnThread>([windows = windows_] { windows->run(); });
}

void Captures::use(Settings settings) {
    running_->use(std::move(settings));
    if (windows_) windows_->changed();
}

void Captures::stop_windows() {
    running_->close();
    if (!windows_) return;
    windows_->end();
    window_thread_->end_within(farewell);
    windows_.reset();
}

void Captures::end() {
    stop_windows();
    running_->end(farewell);
}

// Called on threads that may hang on a dead disk and be left behind: what they use is theirs as
// well.

CaptureStarted Captures::start(CaptureOrder order, OwnedDescriptor client) {
    const auto running = running_;
    return running->start(std::move(order), RunningCaptures::Wanted::by_command, std::move(client));
}

bool Captures::stop(std::uint64_t id, std::string by) {
    const auto running = running_;
    return id == 0 ? running->stop_commands(by) : running->stop(id, CaptureEnd::stopped, std::move(by));
}

std::vector<CaptureStatus> Captures::status() const {
    const auto running = running_;
    std::vector<CaptureStatus> all = running->status();
    if (!running->closed()) {
        for (CaptureStatus& one : planned_captures(running->settings(), std::chrono::system_clock::now()))
            all.push_back(std::move(one));
    }
    for (CaptureStatus& one : running->past()) all.push_back(std::move(one));
    return all;
}

bool Captures::join(std::unique_ptr<SessionTap>& tap, const SessionRecord& record, bool from_start) noexcept {
    bool joined = false;
    try {
        for (const auto& capture : running_->since(tap ? tap->asked_up_to() : 0))
            joined = join(capture, tap, record, from_start) || joined;
    } catch (const std::bad_alloc&) {
        // Not even the list of them: none of them knows.
    }
    return joined;
}

/// Without memory the session goes on, and is left out.
bool Captures::join(const std::shared_ptr<Capture>& capture, std::unique_ptr<SessionTap>& tap,
                    const SessionRecord& record, bool from_start) noexcept {
    try {
        if (tap) tap->asked(capture->id());
        if (!may_be_about(*capture, record)) return false;
        if (!tap)
            tap = std::make_unique<SessionTap>(
                SessionCapture::Session{.record = record, .number = next_session_++, .memory = memory_}, proxy_);
        tap->join(capture, from_start);
        tap->asked(capture->id());
        return true;
    } catch (const std::exception&) {
        capture->count_left_out();
        return false;
    }
}

}  // namespace proxy
