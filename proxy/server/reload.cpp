#include "proxy/server/reload.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/server/systemd.hpp"

namespace proxy {
namespace {

constexpr auto watch_interval = std::chrono::seconds(1);

/// About a configuration as a whole.
config::Diagnostic diagnostic(const std::string& file, const std::string& message) {
    return {.origin = {.file = file, .line = 0, .column = 0, .key = {}}, .message = message};
}

/// Configuration and files, or everything that is wrong with them. Never throws.
LoadedSnapshot load_all(const ConfigSource& source, const std::string& state_dir, const std::string& file) {
    LoadedSnapshot loaded;
    try {
        config::Loaded read = source();
        if (read.config) {
            loaded = load_snapshot(std::move(*read.config), state_dir);
        } else {
            loaded.errors = std::move(read.errors);
        }
        loaded.warnings.insert(loaded.warnings.begin(), read.warnings.begin(), read.warnings.end());
    } catch (const std::exception& error) {
        loaded.errors = {diagnostic(file, error.what())};
    }
    return loaded;
}

}  // namespace

Reload::Reload(tls::Executor executor, const std::atomic<Phase>& phase, Uses uses)
    : executor_(executor), phase_(phase), uses_(std::move(uses)), pause_(executor) {}

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
            co_await pause_.async_wait(tls::returning);
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
    notify_reloading();
    reading_ = true;
    auto work = [source = uses_.source, state_dir = uses_.state_dir, file = running_->config.file] {
        return load_all(source, state_dir, file);
    };
    auto loaded = co_await on_thread(std::move(work));
    reading_ = false;
    if (is_over()) co_return;
    if (loaded) finish(std::move(*loaded), "SIGHUP");
    notify_ready("serving");
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
        std::optional<LoadedSnapshot> loaded;  // when there was a change
    };
    auto work = [watch = watch_, files, running = running_, state_dir = uses_.state_dir] {
        Look seen;
        seen.watch = watch ? watch : std::make_shared<FileWatch>(files);
        if (!seen.watch->changed()) return seen;
        const ConfigSource same = [&] {
            return config::Loaded{.config = running->config, .errors = {}, .warnings = {}};
        };
        seen.loaded = load_all(same, state_dir, running->config.file);
        return seen;
    };
    auto look = co_await on_thread(std::move(work));
    if (is_over() || !look) co_return;
    watch_ = std::move(look->watch);
    if (look->loaded) finish(std::move(*look->loaded), "a certificate, key, CA or users file has changed");
}

void Reload::finish(LoadedSnapshot loaded, const std::string& why) {
    for (const config::Diagnostic& warning : loaded.warnings) spdlog::warn("{}", to_string(warning));
    if (!loaded.snapshot) return fail(loaded.errors);
    try {
        uses_.take(loaded.snapshot);
    } catch (const std::exception& error) {
        return fail({diagnostic(loaded.snapshot->config.file, error.what())});
    }
    running_ = std::move(loaded.snapshot);
    spdlog::info("reloaded: {}", why);
    uses_.record(EventKind::reloaded, why);
}

void Reload::fail(const std::vector<config::Diagnostic>& errors) {
    std::string all;
    for (const config::Diagnostic& error : errors) all += (all.empty() ? "" : "; ") + to_string(error);
    spdlog::error("reload failed, the last good configuration goes on: {}", all);
    uses_.record(EventKind::reload_failed, all);
}

}  // namespace proxy
