#include "proxy/dashboard/survey.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>

#include "proxy/dashboard/certificates_json.hpp"
#include "proxy/dashboard/rotation_json.hpp"
#include "proxy/observation/often.hpp"
#include "tls/certificates.hpp"

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
        : pace_(settings.pace),
          max_clients_(settings.max_clients),
          places_(std::move(settings.places)),
          running_(std::move(settings.running)),
          counts_(settings.counts) {
        Findings nothing;
        nothing.why_none = places_.size() == 0 ? no_inventory : "not counted yet";
        nothing.unknown.push_back("clients: " + nothing.why_none);
        findings_ = std::make_shared<const Findings>(std::move(nothing));
    }

    /// Whatever a look throws, it is followed by others.
    void run() noexcept {
        for (Task task = next_task(); task != Task::end; task = next_task()) {
            const auto began = Clock::now();
            Took took;
            bool failed = true;
            try {
                look(task == Task::show, took);
                failed = false;
            } catch (const std::exception& error) {
                tell(error);
            }
            took.look = Clock::now() - began - took.rotation;
            pace(task == Task::show, failed, took);
        }
    }

    void wanted() {
        {
            const std::lock_guard lock(mutex_);
            const auto now = Clock::now();
            // The thread may hang, and has not freed them.
            if (!is_asked(now)) forget_texts(now);
            asked_ = now;
        }
        news_.notify_all();
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
        if (failed_ || !found->current || is_overdue(Clock::now())) return std::nullopt;
        return found->week;
    }

    std::string why_old() const {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        if (failed_) return "what is shown of clients is old: they could not be counted, and the log says why";
        if (!findings_->week) return {};  // and what is not known is not old
        const std::string of_then = tls::to_rfc3339(to_time(findings_->week->until));
        // A fleet is looked at while somebody asks only.
        if (is_overdue(now) || (!counts_ && now >= next_look_ + pace_.interest))
            return "clients were last counted at " + of_then + ": what is shown of them is older than it should be";
        return {};
    }

   private:
    enum class Task { count, show, end };
    struct Took {
        Clock::duration look{}, rotation{};
    };

    static constexpr const char* no_inventory = "there is no inventory: audit.inventory is off";

    /// Waits for it.
    Task next_task() {
        std::unique_lock lock(mutex_);
        while (!over_) {
            const auto now = Clock::now();
            const bool asked = is_asked(now);
            if (!asked) forget_texts(now);
            const bool counts = counts_ && now >= next_count_;
            if ((asked && now >= next_look_) || counts) {
                looking_since_ = std::chrono::system_clock::now();
                looking_from_ = now;
                return asked ? Task::show : Task::count;
            }
            auto until = counts_ ? next_count_ : now + pace_.interest;
            if (asked) until = std::min(until, std::max(next_look_, now));
            if (!asked && has_texts_) until = std::min(until, std::max({next_look_, next_rotation_, now + pace_.rest}));
            news_.wait_until(lock, until);
        }
        return Task::end;
    }

    bool is_asked(Clock::time_point now) const { return asked_ && now - *asked_ < pace_.interest; }

    /// A look hangs, or none has come to an end for long.
    bool is_overdue(Clock::time_point now) const {
        return (looking_from_ && now - *looking_from_ >= pace_.hanging) || now >= good_until_;
    }

    /// While the pace allows no newer ones they stay: whoever comes back then has those at least.
    void forget_texts(Clock::time_point now) noexcept {
        if (!has_texts_ || now < next_look_ || now < next_rotation_) return;
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

    /// Half of the share for each of the two.
    void pace(bool for_somebody, bool failed, const Took& took) {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        const auto after = [&](Clock::duration pause, Clock::duration work) {
            return now + std::max(pause, work * share * 2);
        };
        const Clock::duration least = is_crowded_ ? Clock::duration(crowded_pause) : Clock::duration::zero();
        if (for_somebody || is_crowded_) next_look_ = after(std::max<Clock::duration>(pace_.pause, least), took.look);
        next_count_ = after(std::max<Clock::duration>(pace_.count_pause, least), took.look);
        if (took.rotation > Clock::duration::zero()) next_rotation_ = after(pace_.rotation_pause, took.rotation);
        failed_ = failed;
        if (failed) {
            next_count_ = std::min(next_count_, after(pace_.rest, took.look));
        } else {
            good_until_ = (counts_ ? next_count_ : next_look_) + pace_.hanging;
        }
        looking_since_.reset();
        looking_from_.reset();
    }

    void look(bool for_somebody, Took& took) {
        const auto now = std::chrono::system_clock::now();
        const auto before = findings();
        Findings next = *before;
        InventoryPlaces::Reading reading = places_.read(now);
        is_crowded_ = clients_in(reading.rows) > max_clients_;
        next.current = reading.unread.empty() && reading.known && !is_crowded_;
        next.warnings = reading.known ? std::vector<Warning>{} : of_report_;
        next.unknown = reading.unread;
        if (!reading.unread.empty()) {
            next.warnings.insert(
                next.warnings.begin(),
                {.critical = true, .what = "inventory_unread", .text = reading.unread.front(), .since = {}});
        }
        if (is_crowded_) {
            leave_out(next, clients_in(reading.rows));
            reading.rows = {};
        } else if (reading.known) {
            count(next, reading, now);
            if (for_somebody) show(next, reading, now);
        } else {
            if (next.why_none.empty() && !next.clients.text) next.why_none = "not counted yet";
            if (!next.why_none.empty()) {
                next.why_none =
                    places_.size() == 0 ? no_inventory : "the inventory cannot be read: " + reading.unread.front();
                next.unknown.push_back("clients: " + next.why_none);
            }
            if (for_somebody) certify(next, nullptr, now);
        }
        publish(next, *before);
        if (for_somebody && reading.known && !is_crowded_ && rotation_is_due(next)) {
            const auto began = Clock::now();
            const std::string text =
                rotation_text(reading.rows, to_timestamp(reading.oldest), [this] { return over_.load(); });
            if (over_) return;
            replace(next.rotation, text, reading.oldest);
            took.rotation = std::max<Clock::duration>(Clock::now() - began, Clock::duration(1));
            publish(std::move(next), *before);
        }
        places_.keep(std::move(reading));
    }

    static std::size_t clients_in(const std::vector<InventoryRows>& rows) {
        std::size_t clients = 0;
        for (const InventoryRows& one : rows) clients += one.clients.size();
        return clients;
    }

    void leave_out(Findings& next, std::size_t clients) const {
        next.why_none = std::to_string(clients) + " are too many to show here (" + std::to_string(max_clients_) +
                        " at most): use pgairlock report";
        next.unknown.push_back("clients: " + next.why_none);
        next.week.reset();
        next.clients.text = next.certificates.text = next.rotation.text = nullptr;
    }

    /// The report of the week alone, which is gone before another one is made.
    void count(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now) {
        const Timestamp until = to_timestamp(reading.oldest);
        const report::Report report = report::make_report(reading.rows, {.since = until - Week::length, .now = until});
        next.week = week_of(report, until);
        if (!next.clients.text) next.why_none = "not counted yet";
        take(next, report, now);
    }

    void show(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now) {
        // How long a proxy has been silent is not known beyond the last reading.
        const SystemTime told = reading.unread.empty() ? now : reading.oldest;
        report::Report report = report::make_report(reading.rows, {.now = to_timestamp(told)});
        if (running_) shows_no_more(report, running_->outages());
        // It says all that the one of the week said, and not that nothing is known from before it.
        next.unknown.resize(reading.unread.size());
        next.warnings.erase(next.warnings.end() - static_cast<std::ptrdiff_t>(of_report_.size()), next.warnings.end());
        take(next, report, now);
        const OpenSessions open = running_ ? running_->sessions() : OpenSessions{};
        replace(next.clients, clients_text(report, running_ ? &open : nullptr, to_timestamp(reading.oldest)),
                reading.oldest);
        next.why_none.clear();
        certify(next, &report, now);
    }

    void certify(Findings& next, const report::Report* report, SystemTime now) const {
        const auto snapshot = running_ ? running_->snapshot() : nullptr;
        replace(next.certificates, serialized(certificates_object(report, snapshot.get(), now)), now);
    }

    void take(Findings& next, const report::Report& report, SystemTime now) {
        next.proxies = proxies_array(report);
        next.unknown.insert(next.unknown.end(), report.summary.incomplete.begin(), report.summary.incomplete.end());
        const auto snapshot = running_ ? running_->snapshot() : nullptr;
        of_report_ = warnings_of(report, now, snapshot ? snapshot->config.audit.expiry_warning : expiring);
        next.warnings.insert(next.warnings.end(), of_report_.begin(), of_report_.end());
    }

    bool rotation_is_due(const Findings& next) const {
        const std::lock_guard lock(mutex_);
        return !next.rotation.text || Clock::now() >= next_rotation_;
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

    const SurveyPace pace_;
    const std::size_t max_clients_;
    std::atomic<bool> over_{false};

    // The thread's.
    InventoryPlaces places_;
    const std::shared_ptr<RunningProxy> running_;
    const bool counts_;
    bool is_crowded_ = false;
    std::vector<Warning> of_report_;  // the last one

    mutable std::mutex mutex_;
    std::condition_variable news_;
    Clock::time_point next_look_{}, next_count_{}, next_rotation_{}, good_until_{};
    std::optional<Clock::time_point> asked_, looking_from_;
    std::optional<SystemTime> looking_since_;
    std::shared_ptr<const Findings> findings_;
    bool has_texts_ = false;
    bool failed_ = false;  // the last look, for want of memory or the like
};

Survey::Survey(Settings settings)
    : work_(std::make_shared<Work>(std::move(settings))), thread_([work = work_] { work->run(); }) {}

Survey::~Survey() {
    work_->end();
    thread_.end_within(patience);
}

void Survey::wanted() { work_->wanted(); }

std::shared_ptr<const Findings> Survey::findings() const { return work_->findings(); }

std::optional<SystemTime> Survey::looking_since() const { return work_->looking_since(); }

std::optional<Week> Survey::week() const { return work_->week(); }

std::string Survey::why_old() const { return work_->why_old(); }

}  // namespace proxy::dashboard
