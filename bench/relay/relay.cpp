// `pgairlock-bench relay`: targets in turn, scenario by scenario.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>

#include "bench/commands.hpp"
#include "bench/relay/relay_report.hpp"
#include "bench/relay/sessions.hpp"
#include "bench/target/interrupt.hpp"
#include "config/load.hpp"
#include "protocol/utf8.hpp"
#include "tls/certificates.hpp"

namespace bench {
namespace {

/// The pids of each target, by name. Throws std::invalid_argument.
std::map<std::string, std::vector<pid_t>> parse_pids(const std::vector<std::string>& texts) {
    std::map<std::string, std::vector<pid_t>> pids;
    for (const std::string& text : texts) {
        const std::size_t equals = text.rfind('=');
        const char* const end = text.data() + text.size();
        pid_t pid = 0;
        const auto [rest, error] =
            std::from_chars(equals == std::string::npos ? end : text.data() + equals + 1, end, pid);
        if (error != std::errc() || rest != end || pid <= 0)
            throw std::invalid_argument("--pid: expected NAME=PID, got " + text);
        pids[text.substr(0, equals)].push_back(pid);
    }
    return pids;
}

/// Throws std::invalid_argument.
std::vector<Target> parse_targets(const RelayOptions& options) {
    std::vector<Target> targets;
    for (const std::string& text : options.targets) {
        Target target = parse_target(text, options.defaults);
        const bool known =
            std::any_of(targets.begin(), targets.end(), [&](const Target& other) { return other.name == target.name; });
        if (known) throw std::invalid_argument("two targets are named \"" + target.name + "\": give each its own name");
        targets.push_back(std::move(target));
    }
    return targets;
}

/// Throws std::invalid_argument for what cannot be measured, std::runtime_error for a name that is
/// not found.
std::vector<Subject> subjects_of(const RelayOptions& options) {
    std::vector<Target> targets = parse_targets(options);
    std::map<std::string, ProcessMeter> processes;
    for (const auto& [name, pids] : parse_pids(options.pids)) {
        const bool known = std::any_of(targets.begin(), targets.end(),
                                       [&name = name](const Target& target) { return target.name == name; });
        if (!known) throw std::invalid_argument("--pid: no target is named \"" + name + "\"");
        try {
            processes.emplace(name, pids);
        } catch (const std::runtime_error& error) {
            throw std::invalid_argument("--pid " + name + ": " + error.what());
        }
    }
    std::vector<Subject> subjects;
    for (Target& target : targets) {
        const auto found = processes.find(target.name);
        auto process = found == processes.end() ? std::nullopt : std::optional(found->second);
        subjects.push_back({.route = Route(std::move(target)), .process = std::move(process)});
    }
    return subjects;
}

/// A process keeps the memory of one target's connections and gives it to the next one's, which
/// would then seem to need none.
void refuse_shared_processes(const std::vector<Subject>& subjects) {
    std::map<pid_t, std::string> owners;
    for (const Subject& subject : subjects) {
        for (const pid_t pid : subject.process ? subject.process->pids() : std::vector<pid_t>()) {
            const auto [owner, first] = owners.emplace(pid, subject.name());
            if (first || owner->second == subject.name()) continue;
            throw std::invalid_argument("--workload idle: " + owner->second + " and " + subject.name() +
                                        " are the same process: start one for each");
        }
    }
}

ScenarioOptions scenario_options(const RelayOptions& options, const std::vector<Subject>& subjects) {
    const auto duration = config::parse_duration(options.duration);
    if (!duration || duration->count() == 0) {
        throw std::invalid_argument("--duration " + options.duration +
                                    ": expected a whole number and ms, s, m, h or d, such as 3s");
    }
    const bool idle = std::find(options.workloads.begin(), options.workloads.end(), "idle") != options.workloads.end();
    const bool measurable = std::any_of(subjects.begin(), subjects.end(),
                                        [](const Subject& subject) { return subject.process.has_value(); });
    if (idle && !measurable)
        throw std::invalid_argument(
            "--workload idle measures the memory of processes: give at least one --pid NAME=PID");
    if (idle) refuse_shared_processes(subjects);
    return {.workloads = options.workloads,
            .clients = options.clients,
            .idle_beside = options.idle_beside,
            .copy_clients = options.copy_clients,
            .copy_mb = options.copy_mb,
            .duration = *duration,
            .idle = options.idle,
            .connect_rate = options.connect_rate};
}

/// At the same time.
std::size_t most_connections(const std::vector<Scenario>& scenarios) {
    std::size_t most = 0;
    for (const Scenario& scenario : scenarios) most = std::max<std::size_t>(most, scenario.connections());
    return most;
}

/// What is said about it above all results; also the first connection, so that nothing is measured
/// of a target that lets nobody in.
RelayReport::Target describe(Generator& generator, const Subject& subject) {
    Sessions one(generator, subject.route, 1);
    const std::optional<TlsFacts> tls = one.at(0).tls_facts();
    one.close();
    return {.name = subject.name(),
            .address = address_text(subject.route.target()),
            .encryption = tls ? tls->version + ' ' + tls->cipher : "plain",
            .pids = subject.process ? subject.process->pids() : std::vector<pid_t>(),
            .memory_source = subject.process ? subject.process->memory().source : ""};
}

void show_progress(const Scenario& scenario, unsigned repetition, const Subject& subject, const Figures& figures) {
    std::string text = scenario.title + ", repetition " + std::to_string(repetition + 1) + ", " + subject.name() + ":";
    for (std::size_t i = 0; i < figures.size(); ++i) {
        char number[64];
        std::snprintf(number, sizeof number, "%s %.*f ", i == 0 ? "" : ",", scenario.metrics[i].digits,
                      figures[i].value_or(0));
        if (figures[i]) text += number + scenario.metrics[i].name;
    }
    std::fprintf(stderr, "%s\n", text.c_str());
}

/// After an interrupt: as many repetitions as there were till then.
RelayReport::Result measure(Generator& generator, std::vector<Subject>& subjects, const Scenario& scenario,
                            unsigned repetitions) {
    RelayReport::Result result{.scenario = scenario, .targets = std::vector<Repetitions>(subjects.size())};
    for (unsigned repetition = 0; repetition < repetitions; ++repetition) {
        for (std::size_t turn = 0; turn < subjects.size(); ++turn) {
            const std::size_t i = (turn + repetition) % subjects.size();  // none is always behind the same one
            if (interrupted()) return result;
            try {
                result.targets[i].push_back(scenario.measure(generator, subjects[i]));
            } catch (const Interrupted&) {
                return result;
            } catch (const std::exception& error) {
                throw std::runtime_error("target \"" + subjects[i].name() + "\": " + scenario.title + ": " +
                                         error.what());
            }
            show_progress(scenario, repetition, subjects[i], result.targets[i].back());
        }
    }
    return result;
}

bool measured(const RelayReport::Result& result) {
    return std::any_of(result.targets.begin(), result.targets.end(),
                       [](const Repetitions& one) { return !one.empty(); });
}

/// Whatever fails ends the run; what was complete before is reported all the same.
RelayReport measure_all(std::vector<Subject>& subjects, const std::vector<Scenario>& scenarios,
                        const RelayOptions& options) {
    Generator generator(options.threads);
    require_descriptors(most_connections(scenarios), generator.threads());
    RelayReport report{.version = options.version,
                       .started = tls::to_rfc3339(std::chrono::system_clock::now()),
                       .targets = {},
                       .results = {},
                       .repetitions = options.repetitions,
                       .cores = std::thread::hardware_concurrency(),
                       .threads = generator.threads(),
                       .failure = {},
                       .interrupted = false};
    for (const Subject& subject : subjects) {
        try {
            report.targets.push_back(describe(generator, subject));
        } catch (const std::exception& error) {
            throw std::runtime_error("target \"" + subject.name() + "\": " + error.what());
        }
    }
    try {
        for (const Scenario& scenario : scenarios) {
            RelayReport::Result result = measure(generator, subjects, scenario, options.repetitions);
            if (measured(result)) report.results.push_back(std::move(result));
        }
    } catch (const std::exception& error) {
        report.failure = error.what();
    }
    report.interrupted = interrupted();
    return report;
}

std::string formatted(const RelayReport& report, const std::string& format) {
    if (format == "json") return to_json(report);
    if (format == "csv") return to_csv(report);
    return to_table(report);
}

/// Throws std::invalid_argument: better before all is measured than after.
void open(std::ofstream& file, const std::string& path) {
    if (path.empty()) return;
    file.open(path, std::ios::binary);
    if (!file) throw std::invalid_argument("--output " + path + ": cannot be written");
}

int run(const RelayOptions& options) {
    std::vector<Subject> subjects = subjects_of(options);
    const std::vector<Scenario> chosen = scenarios(scenario_options(options, subjects));
    std::ofstream file;
    open(file, options.output);
    catch_interrupts();
    const RelayReport report = measure_all(subjects, chosen, options);
    std::ostream& out = options.output.empty() ? std::cout : file;
    out << formatted(report, options.format) << std::flush;
    if (!out) throw std::runtime_error("the report could not be written");
    if (!report.failure.empty()) throw std::runtime_error(report.failure);
    return exit_ok;
}

}  // namespace

int relay(const RelayOptions& options) {
    raise_descriptor_limit();
    try {
        return run(options);
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "pgairlock-bench relay: %s\n", protocol::printable(error.what()).c_str());
        return exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pgairlock-bench relay: %s\n", protocol::printable(error.what()).c_str());
        return exit_failure;
    }
}

}  // namespace bench
