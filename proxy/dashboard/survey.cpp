#include "proxy/dashboard/survey.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>

#include "proxy/dashboard/certificates_json.hpp"
#include "proxy/dashboard/rotation_json.hpp"
#include "proxy/observation/often.hpp"

namespace proxy::dashboard {
namespace {

using Clock = std::chrono::steady_clock;

/// The same may be said for long: only something else is a new version. `object`: without the time
/// in front (generated()).
void replace(Versioned& old, const std::string& object, SystemTime when) {
    const bool is_same = old.text && std::string_view(*old.text).ends_with(std::string_view(object).substr(1));
    if (!is_same) ++old.version;
    old.text = generated(when, object);
}

}  // namespace

void RunningProxy::use(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
}

std::shared_ptr<const Snapshot> RunningProxy::snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
}

OpenSessions RunningProxy::sessions() const {
    const std::lock_guard lock(mutex_);
    return sessions_ ? sessions_->open() : OpenSessions{};
}

std::vector<Outages::Outage> RunningProxy::outages() const {
    const std::lock_guard lock(mutex_);
    return outages_ ? outages_->all() : std::vector<Outages::Outage>{};
}

void RunningProxy::end() {
    const std::lock_guard lock(mutex_);
    sessions_ = nullptr;
    outages_ = nullptr;
}

/// What the thread works with.
class Survey::Work {
   public:
    explicit Work(Settings settings)
        : places_(std::move(settings.places)), running_(std::move(settings.running)), counts_(settings.counts) {
        Findings nothing;
        nothing.why_none = places_.size() == 0 ? "there is no inventory: audit.inventory is off" : "not counted yet";
        nothing.unknown.push_back("clients: " + nothing.why_none);
        findings_ = std::make_shared<const Findings>(std::move(nothing));
    }

    void run() {
        for (std::unique_lock lock(mutex_); !over_;) {
            const auto now = Clock::now();
            const bool asked = asked_ && now - *asked_ < interest;
            const bool looks = asked && now >= next_look_;
            const bool counts = counts_ && now >= next_count_;
            if (!looks && !counts) {
                auto until = counts_ ? next_count_ : now + interest;
                if (asked) until = std::min(until, next_look_);
                news_.wait_until(lock, until);
                continue;
            }
            looking_since_ = std::chrono::system_clock::now();
            lock.unlock();
            work(looks);
            lock.lock();
            looking_since_.reset();
        }
    }

    void wanted() {
        {
            const std::lock_guard lock(mutex_);
            asked_ = Clock::now();
        }
        news_.notify_all();
    }

    void end() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        news_.notify_all();
    }

    std::shared_ptr<const Findings> findings() const {
        const std::lock_guard lock(mutex_);
        return findings_;
    }

    std::optional<SystemTime> looking_since() const {
        const std::lock_guard lock(mutex_);
        return looking_since_;
    }

   private:
    void work(bool for_somebody) {
        const auto began = Clock::now();
        Clock::duration of_rotation{};
        try {
            look(for_somebody, of_rotation);
        } catch (const std::exception& error) {
            spdlog::log(often("dashboard", {}), spdlog::level::err, "dashboard: {}", error.what());
            Findings failed = *findings();
            failed.current = false;
            failed.unknown = {std::string("what is shown of clients is old: ") + error.what()};
            publish(std::move(failed));
        }
        const auto took = Clock::now() - began - of_rotation;
        // Half of the share for each of the two.
        next_look_ = Clock::now() + std::max<Clock::duration>(pause, took * share * 2);
        next_count_ = Clock::now() + std::max<Clock::duration>(count_pause, took * share * 2);
        if (of_rotation > Clock::duration::zero())
            next_rotation_ = Clock::now() + std::max<Clock::duration>(count_pause, of_rotation * share * 2);
    }

    void look(bool for_somebody, Clock::duration& of_rotation) {
        const auto now = std::chrono::system_clock::now();
        Findings next = *findings();
        const InventoryPlaces::Reading reading = places_.read(now);
        next.current = reading.unread.empty() && reading.known;
        next.unknown = reading.unread;
        next.warnings.clear();
        if (!reading.unread.empty())
            next.warnings.push_back({.critical = true, .what = "inventory_unread", .text = reading.unread.front()});
        std::optional<report::Report> report;
        if (reading.known) {
            next.week = week_of(reading.rows, to_timestamp(reading.oldest));
            // How long a proxy has been silent is not known beyond the last reading.
            const SystemTime told = reading.unread.empty() ? now : reading.oldest;
            report = report::make_report(reading.rows, {.now = to_timestamp(told)});
            if (running_) shows_no_more(*report, running_->outages());
            take(next, *report, now);
            if (for_somebody) {
                const OpenSessions open = running_ ? running_->sessions() : OpenSessions{};
                replace(next.clients, clients_text(*report, running_ ? &open : nullptr, to_timestamp(reading.oldest)),
                        reading.oldest);
                next.why_none.clear();
            }
        } else {
            next.why_none = places_.size() == 0 ? "there is no inventory: audit.inventory is off"
                                                : "the inventory cannot be read: " + reading.unread.front();
            next.unknown.push_back("clients: " + next.why_none);
        }
        const auto snapshot = running_ ? running_->snapshot() : nullptr;
        replace(next.certificates, serialized(certificates_object(report ? &*report : nullptr, snapshot.get(), now)),
                now);
        publish(next);
        if (!for_somebody || !reading.known || (next.rotation.text && Clock::now() < next_rotation_)) return;
        const auto began = Clock::now();
        replace(next.rotation, rotation_text(reading.rows, to_timestamp(reading.oldest)), reading.oldest);
        of_rotation = std::max<Clock::duration>(Clock::now() - began, Clock::duration(1));
        publish(std::move(next));
    }

    static void take(Findings& next, const report::Report& report, SystemTime now) {
        next.proxies = proxies_array(report);
        next.unknown.insert(next.unknown.end(), report.summary.incomplete.begin(), report.summary.incomplete.end());
        const std::vector<Warning> warnings = warnings_of(report, now);
        next.warnings.insert(next.warnings.end(), warnings.begin(), warnings.end());
    }

    void publish(Findings next) {
        auto made = std::make_shared<const Findings>(std::move(next));
        const std::lock_guard lock(mutex_);
        findings_.swap(made);
    }

    // The thread's.
    InventoryPlaces places_;
    const std::shared_ptr<RunningProxy> running_;
    const bool counts_;
    Clock::time_point next_look_{}, next_count_{}, next_rotation_{};

    mutable std::mutex mutex_;
    std::condition_variable news_;
    bool over_ = false;
    std::optional<Clock::time_point> asked_;
    std::optional<SystemTime> looking_since_;
    std::shared_ptr<const Findings> findings_;
};

Survey::Survey(Settings settings)
    : work_(std::make_shared<Work>(std::move(settings))), thread_([work = work_] {
          try {
              work->run();
          } catch (const std::exception& error) {
              spdlog::error("dashboard: clients are not counted any more: {}", error.what());
          }
      }) {}

Survey::~Survey() {
    work_->end();
    thread_.end_within(patience);
}

void Survey::wanted() { work_->wanted(); }

std::shared_ptr<const Findings> Survey::findings() const { return work_->findings(); }

std::optional<SystemTime> Survey::looking_since() const { return work_->looking_since(); }

}  // namespace proxy::dashboard
