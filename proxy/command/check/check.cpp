// `pgairlock check`: would `run` start with this configuration, and would a session with each
// address of each upstream be verified?
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "protocol/utf8.hpp"
#include "proxy/command/check/expiry.hpp"
#include "proxy/command/check/loaded.hpp"
#include "proxy/command/check/look.hpp"
#include "proxy/command/check/watch.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/upstream/offload.hpp"

namespace proxy::command {
namespace {

bool has_candidate(const config::Config& config) {
    return std::any_of(config.upstreams.begin(), config.upstreams.end(),
                       [](const config::Upstream& one) { return !one.sslrootcert_candidate.empty(); });
}

/// On a line of its own on a terminal, which is cleared in the end.
class ProgressLine {
   public:
    explicit ProgressLine(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}
    ~ProgressLine() {
        if (shown_) std::fprintf(stderr, "\r\033[K");
    }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    void operator()(std::size_t done, std::size_t of) const {
        if (shown_) std::fprintf(stderr, "\r\033[Klooked at %zu of %zu addresses", done, of);
    }

   private:
    bool shown_;
};

class Check {
   public:
    explicit Check(const CheckOptions& options)
        : options_(options),
          demands_{.alone = fails_on("alone") || asks_of_each(),
                   .candidate = fails_on("candidate"),
                   .expiry = options.warn_days.has_value()} {}
    ~Check() { resolver_.close(); }
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;

    int run();

   private:
    bool fails_on(const char* what) const {
        return std::find(options_.fail_on.begin(), options_.fail_on.end(), what) != options_.fail_on.end();
    }
    /// Whoever names files on the command line asks about each; in a rotation each has its time.
    bool asks_of_each() const {
        return options_.source.config_file.empty() && options_.fail_on.empty() && !options_.watch;
    }
    bool use(LoadedCheck loaded);
    tls::Awaitable<> look(bool with_progress);
    void look_at_expiry();
    tls::Awaitable<> look_once();
    tls::Awaitable<> watch();
    void load_again();
    void show() const;
    void say(const std::string& line) const;
    int code() const { return is_ok(outcome_) && unmet(outcome_, demands_).empty() ? exit_ok : exit_failure; }

    const CheckOptions& options_;
    const Demands demands_;
    LoadedCheck loaded_;
    std::vector<Judges> judges_;
    Outcome outcome_;
    Changes changes_;
    std::string trouble_;  // what was last said of files that cannot be loaded
    int code_ = exit_failure;
    Resolver resolver_;
    asio::io_context io_{1};  // the last: what still waits in it uses the others
};

/// False: it cannot be used, and what was before goes on.
bool Check::use(LoadedCheck loaded) {
    if (!loaded.snapshot) return false;
    judges_.clear();
    loaded_ = std::move(loaded);
    outcome_.bundles = bundles_of(*loaded_.snapshot);
    outcome_.preflight = loaded_.preflight;
    outcome_.warnings = loaded_.warnings;
    for (const auto& route : loaded_.snapshot->upstreams) judges_.emplace_back(*route);
    return true;
}

int Check::run() {
    LoadedCheck loaded = load_for_check(options_);
    command::print(loaded.errors, loaded.warnings);
    command::print(said(loaded.preflight, Finding::State::useless), {});
    command::print(said(loaded.preflight, Finding::State::stops), {});
    if (!loaded.snapshot) {
        if (options_.json) say(as_json(loaded.errors, loaded.warnings));
        return exit_usage;
    }
    use(std::move(loaded));
    if (demands_.candidate && !has_candidate(loaded_.snapshot->config)) {
        const std::string error = "--fail-on candidate: no upstream has sslrootcert_candidate";
        std::fprintf(stderr, "error: %s\n", error.c_str());
        if (options_.json) say(as_json({{.origin = {}, .message = error}}, {}));
        return exit_usage;
    }
    if (options_.offline) {
        outcome_.connected = false;
        look_at_expiry();
        show();
        return code();
    }
    const auto rethrow = [](const std::exception_ptr& failure) {
        if (failure) std::rethrow_exception(failure);
    };
    asio::basic_signal_set<tls::Executor> signals(io_.get_executor());
    if (options_.watch) {
        signals.add(SIGINT);
        signals.add(SIGTERM);
        signals.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) io_.stop();
        });
        asio::co_spawn(io_.get_executor(), watch(), rethrow);
    } else {
        asio::co_spawn(io_.get_executor(), look_once(), rethrow);
    }
    io_.run();
    return code_;
}

tls::Awaitable<> Check::look(bool with_progress) {
    const ProgressLine line(with_progress);
    const Progress progress = [&](std::size_t done, std::size_t of) { line(done, of); };
    outcome_.addresses = co_await look_at_all(resolver_, judges_, progress);
    look_at_expiry();
    code_ = code();
}

void Check::look_at_expiry() {
    if (!options_.warn_days) return;
    const auto until = std::chrono::system_clock::now() + std::chrono::days(*options_.warn_days);
    outcome_.ends_soon = ends_soon(*loaded_.snapshot, judges_, outcome_.addresses, until);
}

tls::Awaitable<> Check::look_once() {
    co_await look(true);
    show();
}

tls::Awaitable<> Check::watch() {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer pause(executor);
    co_await look(true);
    show();
    changes_.since_last(outcome_.addresses);
    for (;;) {
        pause.expires_after(*options_.watch);
        co_await pause.async_wait(tls::returning());
        load_again();
        co_await look(false);
        const auto now = std::chrono::system_clock::now();
        for (const Change& change : changes_.since_last(outcome_.addresses))
            say(change_line(change, now, options_.json));
    }
}

/// What an operator puts in place while this runs counts from the next look on.
void Check::load_again() {
    if (!is_outdated(loaded_)) return;
    LoadedCheck loaded = load_for_check(options_);
    const auto now = std::chrono::system_clock::now();
    const std::string trouble = loaded.errors.empty() ? "" : to_string(loaded.errors.front());
    if (use(std::move(loaded))) {
        say(notice_line("files have changed, and were read again", now, options_.json));
    } else if (trouble != trouble_) {
        say(notice_line("files have changed, and cannot be used: " + trouble, now, options_.json));
    }
    trouble_ = trouble;
}

void Check::show() const {
    if (options_.json) return say(as_json(outcome_, demands_));
    print_bundles(outcome_);
    print_preflight(outcome_);
    if (!outcome_.connected && is_ok(outcome_)) std::printf("configuration is valid\n");
    print_addresses(outcome_);
    print_ends_soon(outcome_);
    for (const std::string& name : unmet(outcome_, demands_))
        std::printf("fails on: %s\n", name == "expiry" ? "--warn-days" : name.c_str());
    std::fflush(stdout);
}

void Check::say(const std::string& line) const {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

}  // namespace

int check(const CheckOptions& options) {
    int code = exit_failure;
    {
        Check check(options);
        code = check.run();
    }
    std::fflush(stdout);
    // A name server that does not answer does not hold up the end.
    if (Offload::left_work_behind() || OwnThread::left_behind()) std::_Exit(code);
    return code;
}

}  // namespace proxy::command
