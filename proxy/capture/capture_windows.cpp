#include "proxy/capture/capture_windows.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// The clock may be set.
constexpr auto longest_wait = 500ms;

std::string by_of(const config::TimeWindow& window) {
    return "window " + utc_text(window.begin) + "/" + utc_text(window.end);
}

}  // namespace

CaptureOrder order_of(const config::Capture& config) {
    return {.filter = {.listeners = config.listeners,
                       .users = config.users,
                       .databases = config.databases,
                       .application_names = config.application_names,
                       .client_addrs = config.client_addrs},
            .payload = config.payload,
            .failures_only = config.trigger == config::CaptureTrigger::failures,
            .allow_secrets = config.allow_secrets && config.payload == protocol::Payload::full,
            .keylog = config.keylog,
            .lasts = {},
            .max_size = {},
            .file = {},
            .by = {}};
}

std::vector<CaptureStatus> planned_captures(const RunningCaptures::Settings& settings,
                                            std::chrono::system_clock::time_point now) {
    std::vector<CaptureStatus> planned;
    for (const config::TimeWindow& window : settings.config.windows) {
        if (window.begin <= now) continue;
        CaptureStatus status;
        status.state = CaptureState::planned;
        status.order = order_of(settings.config);
        status.by = by_of(window);
        status.where = RunningCaptures::dir(settings);
        status.started = window.begin;
        status.until = window.end;
        status.warning = warning_of(status.order.filter);
        planned.push_back(std::move(status));
    }
    std::stable_sort(planned.begin(), planned.end(),
                     [](const auto& a, const auto& b) { return a.started < b.started; });
    return planned;
}

void CaptureWindows::run() {
    for (;;) {
        Time next = Time::max();
        const Time now = std::chrono::system_clock::now();
        bool changed = false;
        {
            const std::lock_guard lock(mutex_);
            changed = std::exchange(changed_, false);
        }
        try {
            if (changed) refused_.clear();
            next = turn(now);
            if (changed) look_ahead(now);
        } catch (const std::exception& error) {
            spdlog::error("capture windows: {}", error.what());
        }
        std::unique_lock lock(mutex_);
        const auto wait = std::clamp<std::chrono::system_clock::duration>(next - now, 1ms, longest_wait);
        wake_.wait_for(lock, next == Time::max() ? 1min : wait, [this] { return changed_ || over_; });
        if (over_) return;
    }
}

void CaptureWindows::changed() {
    {
        const std::lock_guard lock(mutex_);
        changed_ = true;
    }
    wake_.notify_one();
}

void CaptureWindows::end() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    wake_.notify_one();
}

CaptureWindows::Time CaptureWindows::turn(Time now) {
    const config::Capture config = captures_->settings().config;
    Time next = Time::max();
    std::map<Time, Time> open;
    for (const config::TimeWindow& window : config.windows) {
        if (window.end <= now) continue;
        next = std::min(next, window.begin > now ? window.begin : window.end);
        if (window.begin > now) continue;
        Time& end = open[window.begin];
        end = std::max(end, window.end);
        if (!begun_.contains(window.begin) && !refused_.contains({window.begin, window.end}))
            start(window, config, now);
    }
    std::erase_if(begun_, [&](const auto& one) {
        if (open.contains(one.first)) return false;
        captures_->stop(one.second.id, one.second.end <= now ? CaptureEnd::time : CaptureEnd::window);
        return true;
    });
    for (auto& [begin, begun] : begun_) {
        if (std::exchange(begun.end, open[begin]) != open[begin])
            captures_->end_after(begun.id, std::chrono::ceil<std::chrono::milliseconds>(begun.end - now));
    }
    return next;
}

void CaptureWindows::start(const config::TimeWindow& window, const config::Capture& config, Time now) {
    CaptureOrder order = order_of(config);
    order.by = by_of(window);
    order.lasts = std::chrono::ceil<std::chrono::milliseconds>(window.end - now);
    // First its place, for which there may be no memory: one that runs is not started again.
    const auto begun = begun_.try_emplace(window.begin, Begun{.id = 0, .end = window.end}).first;
    CaptureStarted started;
    try {
        started = captures_->start(order, RunningCaptures::Wanted::by_window);
    } catch (...) {
        begun_.erase(begun);
        throw;
    }
    if (const auto* refused = std::get_if<CaptureRefused>(&started)) {
        begun_.erase(begun);
        refused_.emplace(window.begin, window.end);
        spdlog::error("capture by {}: not started: {}. It is tried again after a reload", order.by, refused->why);
        captures_->failed_to_start(std::move(order), refused->why);
    } else {
        begun->second.id = std::get<CaptureStatus>(started).id;
    }
}

/// What would keep the next window from being captured is said while it can still be mended.
void CaptureWindows::look_ahead(Time now) const {
    const RunningCaptures::Settings settings = captures_->settings();
    const std::vector<CaptureStatus> planned = planned_captures(settings, now);
    if (planned.empty()) return;
    const std::string why = CaptureFolder::obstacle(planned.front().where, settings.config.min_free_space);
    if (why.empty()) return;
    spdlog::warn("capture by {}: will not start as things are: {}", planned.front().by,
                 config::to_string({.origin = settings.config.dir_origin, .message = why}));
}

}  // namespace proxy
