#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include "bench/commands.hpp"
#include "bench/connect/connect_report.hpp"
#include "bench/connect/measure.hpp"
#include "bench/target/interrupt.hpp"
#include "config/load.hpp"
#include "protocol/utf8.hpp"
#include "tls/certificates.hpp"

namespace bench {
namespace {

/// In the open loop a stall must not hold later connections back; so many at a time are more than
/// most servers allow.
constexpr unsigned open_loop_clients = 100;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept {
        if (file != stdout) std::fclose(file);
    }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::vector<Target> parse_targets(const ConnectOptions& options) {
    std::vector<Target> targets;
    for (const std::string& text : options.targets) {
        Target target = parse_target(text, options.defaults);
        const bool known =
            std::any_of(targets.begin(), targets.end(), [&](const Target& other) { return other.name == target.name; });
        if (known) throw std::invalid_argument("two targets are named \"" + target.name + "\": give each its own name");
        // What this machine's libpq does not know; it would fail once for every connection.
        if (options.libpq && target.sslrootcert == "system" && PQlibVersion() < 160000) {
            throw std::invalid_argument(
                "target \"" + target.name + "\": libpq " + std::to_string(PQlibVersion() / 10000) +
                " does not know sslrootcert=system: name a file, such as /etc/ssl/certs/ca-certificates.crt");
        }
        if (options.libpq && target.settings.contains("sslnegotiation") && PQlibVersion() < 170000) {
            throw std::invalid_argument("target \"" + target.name + "\": libpq " +
                                        std::to_string(PQlibVersion() / 10000) +
                                        " does not know sslnegotiation: leave it out, or measure without --libpq");
        }
        targets.push_back(std::move(target));
    }
    return targets;
}

Workload make_workload(const ConnectOptions& options) {
    const auto duration = config::parse_duration(options.duration);
    if (!duration || duration->count() == 0) {
        throw std::invalid_argument("--duration " + options.duration +
                                    ": expected a whole number and ms, s, m, h or d, such as 5s");
    }
    Workload workload{.load = {.duration = *duration, .connections = options.connections, .rate = options.rate},
                      .clients = options.clients,
                      .threads = options.threads,
                      .query = options.query};
    if (options.connections > 0) workload.load.duration = Duration(0);
    if (workload.clients == 0) workload.clients = options.rate > 0 ? open_loop_clients : 1;
    return workload;
}

std::string load_text(const ConnectOptions& options, const Workload& workload) {
    const std::string clients = std::to_string(workload.clients) + (workload.clients == 1 ? " client" : " clients");
    return (options.rate > 0
                ? "open loop, " + decimal(options.rate, options.rate < 10 ? 2 : 0) + " per second, at most " + clients
                : "closed loop, " + clients) +
           ", " + std::to_string(options.repetitions) +
           (options.repetitions == 1 ? " repetition of " : " repetitions of ") +
           (options.connections > 0 ? std::to_string(options.connections) + " connections" : options.duration);
}

File open_output(const ConnectOptions& options) {
    if (options.output.empty()) return File(stdout);
    File file(std::fopen(options.output.c_str(), "w"));
    if (!file) throw std::invalid_argument("--output " + options.output + ": cannot be written");
    return file;
}

/// Target by target, in an order that every repetition rotates: none is always the first after a
/// pause, or always behind the same one.
class Run {
   public:
    Run(const ConnectOptions& options, Report& report, Workload workload)
        : options_(options), report_(report), workload_(std::move(workload)) {
        // What reads CA files and looks names up is done before anything is measured. libpq does
        // both for every connection.
        for (const TargetResult& result : report_.targets)
            routes_.push_back(options_.libpq ? nullptr : std::make_unique<Route>(result.target));
    }

    void measure_all() {
        for (std::size_t i = 0; i < routes_.size(); ++i) usable_.push_back(try_out(i));
        for (unsigned repetition = 0; repetition < options_.repetitions; ++repetition) {
            for (std::size_t turn = 0; turn < routes_.size(); ++turn) {
                const std::size_t i = (turn + repetition) % routes_.size();
                if (usable_[i] && !interrupted()) measure_one(i, repetition);
            }
        }
    }

   private:
    /// A target that cannot be connected to is reported, and not measured.
    bool try_out(std::size_t i) {
        TargetResult& result = report_.targets[i];
        const Trial trial = options_.libpq ? try_out_libpq(result.target, workload_.query)
                                           : bench::try_out(*routes_[i], workload_.query);
        result.tls = trial.tls;
        if (!trial.error.empty()) result.whole.record_failure(trial.error);
        return trial.error.empty();
    }

    void measure_one(std::size_t i, unsigned repetition) {
        TargetResult& result = report_.targets[i];
        const Measurement measured =
            options_.libpq ? measure_libpq(result.target, workload_) : measure(*routes_[i], workload_);
        result.add(measured);
        if (!options_.progress && !isatty(STDERR_FILENO)) return;
        std::fprintf(stderr, "%u/%u %s: %lu connections, %.1f per second, total p50 %.1f µs, %lu failed\n",
                     repetition + 1, options_.repetitions, result.target.name.c_str(),
                     static_cast<unsigned long>(measured.connections()), measured.rate(),
                     microseconds(measured.phases[Phase::total].percentile(50)),
                     static_cast<unsigned long>(measured.failed()));
    }

    const ConnectOptions& options_;
    Report& report_;
    Workload workload_;
    std::vector<std::unique_ptr<Route>> routes_;
    std::vector<bool> usable_;
};

std::string formatted(const Report& report, const std::string& format) {
    if (format == "json") return to_json(report);
    if (format == "csv") return to_csv(report);
    if (format == "html") return to_html(report);
    return to_table(report);
}

int run(const ConnectOptions& options) {
    const Workload workload = make_workload(options);
    Report report{.version = options.version,
                  .started = tls::to_rfc3339(std::chrono::system_clock::now()),
                  .query = options.query,
                  .load = load_text(options, workload),
                  .libpq = options.libpq,
                  .interrupted = false,
                  .targets = {}};
    for (Target& target : parse_targets(options))
        report.targets.push_back({.target = std::move(target), .tls = {}, .whole = {}, .repetitions = {}});
    Run run(options, report, workload);
    const File output = open_output(options);
    catch_interrupts();
    run.measure_all();
    report.interrupted = interrupted();
    const std::string text = formatted(report, options.format);
    if (std::fwrite(text.data(), 1, text.size(), output.get()) != text.size() || std::fflush(output.get()) != 0) {
        throw std::runtime_error("the report could not be written");
    }
    return report.failed() ? exit_failure : exit_ok;
}

}  // namespace

int connect(const ConnectOptions& options) {
    try {
        return run(options);
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "pgairlock-bench connect: %s\n", protocol::printable(error.what()).c_str());
        return exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pgairlock-bench connect: %s\n", protocol::printable(error.what()).c_str());
        return exit_failure;
    }
}

}  // namespace bench
