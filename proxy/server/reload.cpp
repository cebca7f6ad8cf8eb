#include "proxy/server/reload.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/record/line_file.hpp"
#include "proxy/server/log.hpp"

namespace proxy {
namespace {

constexpr auto watch_interval = std::chrono::seconds(1);
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
                load_snapshot(std::move(*read.config), {.path = state_dir, .without_authority = without});
            if (loaded.snapshot) open_log(loaded, running.config.log);
        } else {
            loaded.errors = std::move(read.errors);
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
    watched_ = files_of(*running_);
    watch_ = std::make_shared<FileWatch>(watched_);
}

tls::Awaitable<> Reload::run() {
    while (!is_over()) {
        if (!requested_) {
            pause_.expires_after(watch_interval);
            co_await pause_.async_wait(tls::returning());
        }
        if (is_over()) co_return;
        if (std::exchange(requested_, false)) {
            co_await reload_all();
        } else {
            co_await reload_changed_files();
        }
    }
}

void Reload::request() {
    if (is_over()) return spdlog::info("SIGHUP while draining: nothing is reloaded");
    if (reading_) spdlog::info("SIGHUP while a reload is going on: another one follows it");
    requested_ = true;
    pause_.cancel();
}

void Reload::wake() {
    pause_.cancel();
    if (waiting_) waiting_->cancel();
}

tls::Awaitable<> Reload::reload_all() {
    uses_.manager.reloading();
    reading_ = true;
    auto work = [source = uses_.source, state_dir = uses_.state_dir, running = running_] {
        return load_all(source, state_dir, *running);
    };
    auto loaded = co_await on_thread(std::move(work));
    reading_ = false;
    if (is_over()) co_return;
    if (loaded) {
        if (finish(std::move(*loaded), "SIGHUP", refused_configuration_)) refused_files_.clear();
    } else {
        fail({diagnostic(running_->config.file, "it could not be read")}, refused_configuration_);
    }
    uses_.manager.ready(status());
    if (files_of(*running_) != watched_) co_await reload_changed_files();
}

tls::Awaitable<> Reload::reload_changed_files() {
    const std::vector<std::string> files = files_of(*running_);
    if (files != watched_) {
        watched_ = files;
        watch_ = nullptr;  // others: what they hold now is where it begins
    }
    struct Look {
        std::shared_ptr<FileWatch> watch;
        std::optional<Loaded> loaded;  // when there was a change
    };
    auto work = [watch = watch_, files, running = running_, state_dir = uses_.state_dir] {
        Look seen;
        seen.watch = watch ? watch : std::make_shared<FileWatch>(files);
        if (!seen.watch->changed()) return seen;
        const ConfigSource same = [&] {
            return config::Loaded{.config = running->config, .errors = {}, .warnings = {}};
        };
        seen.loaded = load_all(same, state_dir, *running);
        return seen;
    };
    auto look = co_await on_thread(std::move(work));
    if (is_over() || !look) co_return;
    watch_ = std::move(look->watch);
    if (!look->loaded) co_return;
    finish(std::move(*look->loaded), "a certificate, key, CA or users file has changed", refused_files_);
    uses_.manager.status(status());
}

bool Reload::finish(Loaded loaded, const std::string& why, std::string& refused) {
    for (const config::Diagnostic& warning : loaded.warnings) spdlog::warn("{}", to_string(warning));
    if (!loaded.snapshot) return fail(loaded.errors, refused);
    std::shared_ptr<LogWriter> replaced;
    try {
        replaced = uses_.take(loaded.snapshot, std::move(loaded.log));
    } catch (const std::exception& error) {
        return fail({diagnostic({}, error.what())}, refused);  // which says where
    }
    running_ = std::move(loaded.snapshot);
    refused.clear();
    spdlog::info("reloaded: {}", why);
    uses_.record(EventKind::reloaded, why);
    end_on_thread(std::move(replaced));
    return true;
}

bool Reload::fail(const std::vector<config::Diagnostic>& errors, std::string& refused) {
    refused.clear();
    for (const config::Diagnostic& error : errors) refused += (refused.empty() ? "" : "; ") + to_string(error);
    spdlog::error("reload failed, the last good configuration goes on: {}", refused);
    uses_.record(EventKind::reload_failed, refused);
    return false;
}

/// A configuration that was refused is not mended by a certificate that is renewed.
std::string Reload::status() const {
    const std::string& refused = refused_configuration_.empty() ? refused_files_ : refused_configuration_;
    return refused.empty() ? "serving" : "serving with the last good configuration: the reload failed: " + refused;
}

/// Its last lines may take a moment, which nobody waits for here.
void Reload::end_on_thread(std::shared_ptr<LogWriter> replaced) {
    if (!replaced) return;
    thread_.submit([replaced = std::move(replaced)] { return replaced->end_within(replaced_log_patience); },
                   [](auto) {});
}

}  // namespace proxy
