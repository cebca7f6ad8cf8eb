#include "proxy/dashboard/survey.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "proxy/dashboard/rotation_json.hpp"
#include "proxy/observation/often.hpp"
#include "tls/certificates.hpp"

namespace proxy::dashboard {

using Clock = SurveySchedule::Clock;

/// What the thread works with.
class Survey::Work {
   public:
    explicit Work(Settings settings)
        : places_(std::move(settings.places)),
          maker_({.has_inventory = places_.size() > 0,
                  .running = std::move(settings.running),
                  .max_rows = settings.max_rows}),
          schedule_(settings.pace, settings.counts),
          findings_(std::make_shared<const Findings>(maker_.none())) {}

    /// Whatever a look throws, it is followed by others.
    void run() noexcept {
        while (const auto what = next_look()) {
            const auto began = Clock::now();
            SurveySchedule::Ended ended{.look = *what, .failed = true};
            try {
                look(ended);
                ended.failed = false;
            } catch (const std::exception& error) {
                tell(error);
            }
            ended.crowded = maker_.is_crowded();
            ended.took.look = Clock::now() - began - ended.took.rotation;
            const std::lock_guard lock(mutex_);
            schedule_.end(ended, Clock::now());
            looking_since_.reset();
        }
    }

    void wanted() {
        {
            const std::lock_guard lock(mutex_);
            const auto now = Clock::now();
            // The thread may hang, and has not freed them.
            if (!schedule_.is_asked(now)) forget_texts(now);
            schedule_.asked(now);
        }
        news_.notify_all();
    }

    Readiness check() {
        Readiness readiness;
        {
            const std::lock_guard lock(mutex_);
            const auto now = Clock::now();
            schedule_.checked(now);
            if (const char* why = schedule_.why_unready(now)) readiness.why_not = why;
            readiness.is_at_it = schedule_.is_at_it(now);
        }
        news_.notify_all();
        return readiness;
    }

    void end() {
        over_ = true;
        {
            const std::lock_guard lock(mutex_);  // the thread waits already, or has yet to look at over_
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

    std::optional<Week> week() const {
        const auto found = findings();
        const std::lock_guard lock(mutex_);
        if (schedule_.has_failed() || !found->current || schedule_.is_overdue(Clock::now())) return std::nullopt;
        return found->week;
    }

    std::string why_old() const {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        if (schedule_.has_failed())
            return "what is shown of clients is old: they could not be counted, and the log says why";
        if (!findings_->week) return {};  // and what is not known is not old
        const std::string of_then = tls::to_rfc3339(to_time(findings_->week->until));
        if (schedule_.is_overdue(now) || schedule_.is_forsaken(now))
            return "clients were last counted at " + of_then + ": what is shown of them is older than it should be";
        return {};
    }

   private:
    /// Waits for it. nullopt: it is over.
    std::optional<SurveySchedule::Look> next_look() {
        std::unique_lock lock(mutex_);
        while (!over_) {
            const auto now = Clock::now();
            if (!schedule_.is_asked(now)) forget_texts(now);
            if (const auto due = schedule_.due(now)) {
                looking_since_ = std::chrono::system_clock::now();
                schedule_.begin(now);
                return due;
            }
            news_.wait_until(lock, schedule_.next(now, has_texts_));
        }
        return std::nullopt;
    }

    void forget_texts(Clock::time_point now) noexcept {
        if (!has_texts_ || !schedule_.may_forget(now)) return;
        try {
            auto without = std::make_shared<Findings>(*findings_);
            without->clients.text = without->certificates.text = without->rotation.text = nullptr;
            if (without->why_none.empty()) without->why_none = "not counted yet";
            findings_ = std::move(without);
            has_texts_ = false;
        } catch (const std::bad_alloc&) {
            // They stay until there is memory.
        }
    }

    static void tell(const std::exception& error) noexcept {
        try {
            spdlog::log(often("dashboard", {}), spdlog::level::err, "dashboard: {}", error.what());
        } catch (...) {
            // Without memory nothing can be said.
        }
    }

    void look(SurveySchedule::Ended& ended) {
        const bool texts = ended.look == SurveySchedule::Look::show;
        const auto now = std::chrono::system_clock::now();
        const auto before = findings();
        InventoryPlaces::Reading reading = places_.read(now);
        ended.answered = reading.known && reading.unread.empty();
        Findings next = maker_.make(*before, reading, texts, now);
        if (maker_.is_crowded()) reading.rows = {};
        publish(next, *before);
        if (texts && reading.known && !maker_.is_crowded() && rotation_is_due(next)) {
            const auto began = Clock::now();
            const std::string text =
                rotation_text(reading.rows, to_timestamp(reading.oldest), [this] { return over_.load(); });
            if (over_) return;
            replace(next.rotation, text, reading.oldest);
            ended.took.rotation = std::max<Clock::duration>(Clock::now() - began, Clock::duration(1));
            publish(std::move(next), *before);
        }
        places_.keep(std::move(reading));
    }

    bool rotation_is_due(const Findings& next) const {
        const std::lock_guard lock(mutex_);
        return !next.rotation.text || schedule_.rotation_is_due(Clock::now());
    }

    /// `before`: as it was when the look began. A text that it has not renewed may be forgotten by
    /// now.
    void publish(Findings next, const Findings& before) {
        auto made = std::make_shared<Findings>(std::move(next));
        const std::lock_guard lock(mutex_);
        has_texts_ = false;
        for (const auto which : {&Findings::clients, &Findings::certificates, &Findings::rotation}) {
            if (((*made).*which).text == (before.*which).text) (*made).*which = (*findings_).*which;
            has_texts_ = has_texts_ || ((*made).*which).text;
        }
        findings_ = std::move(made);
    }

    std::atomic<bool> over_{false};

    // The thread's.
    InventoryPlaces places_;
    FindingsMaker maker_;

    mutable std::mutex mutex_;
    std::condition_variable news_;
    SurveySchedule schedule_;
    std::optional<SystemTime> looking_since_;
    std::shared_ptr<const Findings> findings_;
    bool has_texts_ = false;
};

Survey::Survey(Settings settings)
    : work_(std::make_shared<Work>(std::move(settings))), thread_([work = work_] { work->run(); }) {}

Survey::~Survey() {
    work_->end();
    thread_.end_within(patience);
}

void Survey::wanted() { work_->wanted(); }

Survey::Readiness Survey::check() { return work_->check(); }

std::shared_ptr<const Findings> Survey::findings() const { return work_->findings(); }

std::optional<SystemTime> Survey::looking_since() const { return work_->looking_since(); }

std::optional<Week> Survey::week() const { return work_->week(); }

std::string Survey::why_old() const { return work_->why_old(); }

}  // namespace proxy::dashboard
