#include "proxy/server/reload.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/record/line_file.hpp"
#include "proxy/server/log.hpp"
#include "tls/authority.hpp"
#include "tls/certificates.hpp"

namespace proxy {
namespace {

constexpr auto watch_interval = std::chrono::seconds(1);
/// Of what has failed.
constexpr auto retry_interval = std::chrono::seconds(3);
/// Between two looks at how long generated certificates are valid.
constexpr auto renewal_interval = std::chrono::hours(1);
/// Of a log that another one has replaced.
constexpr auto replaced_log_patience = std::chrono::seconds(2);

/// About a configuration as a whole.
config::Diagnostic diagnostic(const std::string& file, const std::string& message) {
    return {.origin = {.file = file, .line = 0, .column = 0, .key = {}}, .message = message};
}

}  // namespace

Reload::Reload(tls::Executor executor, const std::atomic<Phase>& phase, Uses uses)
    : executor_(executor), phase_(phase), uses_(std::move(uses)), pause_(executor) {}

void Reload::open_log(Loaded& loaded, const config::Log& running) {
    const config::Log& wanted = loaded.snapshot->config.log;
    try {
        loaded.log = prepare_log(running, wanted);
    } catch (const CannotOpen& error) {
        loaded.errors = {unusable_file(wanted.file_origin, error.what())};
        loaded.snapshot = nullptr;
    }
}

/// Configuration and files, or everything that is wrong with them. Never throws.
Reload::Loaded Reload::load_all(const ConfigSource& source, const std::string& state_dir, const Snapshot& running) {
    Loaded loaded;
    const auto without = running.has_own_authority ? tls::WithoutAuthority::refuse : tls::WithoutAuthority::make_one;
    try {
        config::Loaded read = source();
        if (read.config) {
            static_cast<LoadedSnapshot&>(loaded) =
                load_snapshot(std::move(*read.config), {.path = state_dir, .without_authority = without}, &running);
            if (loaded.snapshot) open_log(loaded, running.config.log);
        } else {
            loaded.errors = all_errors(read, state_dir);
        }
        loaded.warnings.insert(loaded.warnings.begin(), read.warnings.begin(), read.warnings.end());
    } catch (const std::exception& error) {
        loaded.snapshot = nullptr;
        loaded.errors = {diagnostic(running.config.file, error.what())};
    }
    return loaded;
}

/// The result of `work`; nullopt: it threw, or the process ends meanwhile.
template <class Work>
auto Reload::on_thread(Work work) {
    waiting_ = std::make_shared<tls::Timer>(executor_);
    // A file may take as long as it wants: nobody but the next reload waits for it.
    return thread_.run(std::move(work), std::chrono::steady_clock::time_point::max(), waiting_);
}

void Reload::begin(std::shared_ptr<const Snapshot> running) {
    running_ = std::move(running);
    watch_ = std::make_shared<FileWatch>(files_of(*running_), running_->files);
    looked_for_renewal_ = std::chrono::system_clock::now();
}

tls::Awaitable<> Reload::run() {
    while (!is_over()) {
        if (!requested_) {
            pause_.expires_after(watch_interval);
            co_await pause_.async_wait(tls::returning());
        }
        co_await wait_while_held();
        if (is_over()) co_return;
        if (std::exchange(requested_, false)) {
            co_await reload_all(Cause::asked);
        } else if (configuration_ && configuration_->is_due()) {
            co_await reload_all(Cause::again);
        } else {
            co_await reload_changed_files();
        }
    }
}

void Reload::request(const std::string& by, Outcome outcome) {
    if (phase_ == Phase::handed_over)
        return spdlog::warn(
            "{}: nothing is reloaded here, for another process serves new clients: it is the one to ask", by);
    if (is_over()) return spdlog::info("{} while draining: nothing is reloaded", by);
    if (reading_) spdlog::info("{} while a reload is going on: another one follows it", by);
    if (outcome) asked_.push_back(std::move(outcome));
    if (!requested_) asked_by_.clear();
    if (asked_by_.find(by) == std::string::npos) asked_by_ += (asked_by_.empty() ? "" : " and ") + by;
    requested_ = true;
    pause_.cancel();
}

void Reload::hold(bool held) {
    held_ = held;
    pause_.cancel();
}

tls::Awaitable<> Reload::wait_while_held() {
    while (held_ && !is_over()) {
        pause_.expires_at(tls::Timer::time_point::max());
        co_await pause_.async_wait(tls::returning());
    }
}

void Reload::wake() {
    pause_.cancel();
    if (waiting_) waiting_->cancel();
}

tls::Awaitable<> Reload::reload_all(Cause cause) {
    const std::vector<Outcome> asked = cause == Cause::asked ? std::exchange(asked_, {}) : std::vector<Outcome>();
    if (cause == Cause::asked) uses_.manager.reloading();
    reading_ = cause == Cause::asked;
    auto work = [source = uses_.source, state_dir = uses_.state_dir, running = running_] {
        return load_all(source, state_dir, *running);
    };
    const Attempt attempt{asked_by_, configuration_, cause};
    auto loaded = co_await on_thread(std::move(work));
    co_await wait_while_held();
    if (is_over()) co_return;
    reading_ = false;
    if (loaded) {
        if (finish(std::move(*loaded), attempt)) files_.reset();
    } else {
        fail({diagnostic(running_->config.file, "it could not be read")}, attempt);
    }
    if (cause == Cause::asked) {
        uses_.manager.ready(status());
    } else {
        uses_.manager.status(status());
    }
    for (const Outcome& outcome : asked) outcome(configuration_ ? configuration_->why : "");
}

/// Once an hour by the wall clock, which also goes on while a machine sleeps.
bool Reload::is_renewal_looked_for() {
    const auto now = std::chrono::system_clock::now();
    if (!running_->has_own_authority || std::chrono::abs(now - looked_for_renewal_) < renewal_interval) return false;
    looked_for_renewal_ = now;
    return true;
}

tls::Awaitable<> Reload::reload_changed_files() {
    struct Look {
        std::string why;
        std::optional<Loaded> loaded;  // when there was a reason
    };
    const bool again = files_ && files_->is_due();
    auto work = [watch = watch_, again, renewal = is_renewal_looked_for(), running = running_,
                 state_dir = uses_.state_dir] {
        Look seen;
        if (watch->changed() || again) {
            seen.why = "a certificate, key, CA or users file has changed";
        } else if (renewal && tls::is_renewal_due(state_dir + "/tls")) {
            seen.why = "generated certificates end soon";
        } else {
            return seen;
        }
        const ConfigSource same = [&] {
            return config::Loaded{.config = running->config, .errors = {}, .warnings = {}};
        };
        seen.loaded = load_all(same, state_dir, *running);
        return seen;
    };
    auto look = co_await on_thread(std::move(work));
    co_await wait_while_held();
    if (is_over() || !look || !look->loaded) co_return;
    finish(std::move(*look->loaded), {look->why, files_, Cause::again});
    uses_.manager.status(status());
}

bool Reload::finish(Loaded loaded, const Attempt& attempt) {
    // Those of an attempt that failed were told with the first.
    const bool is_told = loaded.snapshot || !attempt.failing || attempt.cause == Cause::asked;
    for (const config::Diagnostic& warning : loaded.warnings) {
        if (is_told) spdlog::warn("{}", to_string(warning));
    }
    for (const std::string& what : loaded.made) spdlog::info("{}", what);
    if (!loaded.snapshot) return fail(loaded.errors, attempt);
    std::shared_ptr<LogWriter> replaced;
    try {
        replaced = uses_.take(loaded.snapshot, std::move(loaded.log));
    } catch (const std::exception& error) {
        return fail({diagnostic({}, error.what())}, attempt);  // which says where
    }
    running_ = std::move(loaded.snapshot);
    watch_ = std::make_shared<FileWatch>(files_of(*running_), running_->files);
    succeed(attempt);
    end_on_thread(std::move(replaced));
    return true;
}

void Reload::succeed(const Attempt& attempt) {
    std::string text = attempt.why;
    if (attempt.failing) {
        const std::string attempts = attempt.failing->attempts == 1 ? " failed attempt" : " failed attempts";
        text += ", after " + std::to_string(attempt.failing->attempts) + attempts + " since " +
                tls::to_rfc3339(attempt.failing->since);
    }
    attempt.failing.reset();
    spdlog::info("reloaded: {}", text);
    uses_.record(EventKind::reloaded, text);
}

/// Said when it begins and whenever it is for another reason; written down when it begins, and when
/// somebody has asked.
bool Reload::fail(const std::vector<config::Diagnostic>& errors, const Attempt& attempt) {
    std::string why;
    for (const config::Diagnostic& error : errors) why += (why.empty() ? "" : "; ") + to_string(error);
    // What a SIGHUP has brought to light is seen again by those who watch the file.
    const bool is_known = configuration_ && configuration_->why == why;
    const bool begins = attempt.cause == Cause::asked || (!attempt.failing && !is_known);
    const bool is_news = begins || (attempt.failing && attempt.failing->why != why);
    if (!attempt.failing)
        attempt.failing = Failing{.why = {}, .attempts = 0, .since = std::chrono::system_clock::now(), .next = {}};
    Failing& failing = *attempt.failing;
    failing.why = std::move(why);
    ++failing.attempts;
    failing.next = std::chrono::steady_clock::now() + retry_interval;
    if (is_news)
        spdlog::error("reload failed, the last good configuration goes on, and it is tried again every {} s: {}",
                      retry_interval.count(), failing.why);
    if (begins) uses_.record(EventKind::reload_failed, failing.why);
    return false;
}

/// A configuration that was refused is not mended by a certificate that is renewed.
std::string Reload::status() const {
    const std::optional<Failing>& failing = configuration_ ? configuration_ : files_;
    return !failing ? "serving" : "serving with the last good configuration: the reload failed: " + failing->why;
}

/// Its last lines may take a moment, which nobody waits for here.
void Reload::end_on_thread(std::shared_ptr<LogWriter> replaced) {
    if (!replaced) return;
    thread_.submit([replaced = std::move(replaced)] { return replaced->end_within(replaced_log_patience); },
                   [](auto) {});
}

}  // namespace proxy
