#include "bench/relay/process_meter.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace bench {
namespace {

/// Empty when it has ended, be it between opening the file and reading it.
std::string file_of(pid_t pid, std::string_view name) {
    const std::ifstream file("/proc/" + std::to_string(pid) + "/" + std::string(name));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
    Number number{};
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
    return number;
}

/// Takes off the first word.
std::string_view take_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
    text.remove_prefix(word.size());
    return word;
}

std::vector<ProcessStat> all_processes() {
    std::vector<ProcessStat> all;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto pid = to_number<pid_t>(entry.path().filename().string());
        if (!pid) continue;
        if (const auto stat = parse_stat(file_of(*pid, "stat"))) all.push_back(*stat);  // else it has just ended
    }
    return all;
}

std::vector<ProcessStat> measured(const std::vector<pid_t>& pids) {
    const std::vector<ProcessStat> all = all_processes();
    std::vector<ProcessStat> found;
    for (const pid_t pid : with_descendants(pids, all)) {
        const auto stat = std::find_if(all.begin(), all.end(), [pid](const ProcessStat& s) { return s.pid == pid; });
        if (stat == all.end()) throw std::runtime_error("there is no process " + std::to_string(pid));
        found.push_back(*stat);
    }
    return found;
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text) {
    // The name may hold spaces and brackets, but nothing behind it does: proc(5).
    const std::size_t name = text.find(" (");
    const std::size_t name_end = text.rfind(')');
    if (name == std::string_view::npos || name_end == std::string_view::npos || name_end < name) return std::nullopt;
    const auto pid = to_number<pid_t>(text.substr(0, name));
    std::string_view rest = text.substr(name_end + 1);
    std::array<std::string_view, 15> fields;  // from the third of proc(5), the state, to the 17th, cstime
    for (std::string_view& field : fields) field = take_word(rest);
    const auto parent = to_number<pid_t>(fields[1]);
    if (!pid || !parent) return std::nullopt;
    ProcessStat stat{.pid = *pid, .parent = *parent};
    for (const std::size_t times : {11, 12, 13, 14}) {  // utime, stime, cutime, cstime
        const auto ticks = to_number<std::uint64_t>(fields[times]);
        if (!ticks) return std::nullopt;
        stat.ticks += *ticks;
        if (times <= 12) stat.own_ticks += *ticks;
    }
    return stat;
}

std::optional<std::uint64_t> parse_kib(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (!line.starts_with(name) || !line.substr(name.size()).starts_with(':')) continue;
        line.remove_prefix(name.size() + 1);
        const auto number = to_number<std::uint64_t>(take_word(line));
        return take_word(line) == "kB" ? number : std::nullopt;
    }
    return std::nullopt;
}

std::vector<pid_t> with_descendants(const std::vector<pid_t>& roots, const std::vector<ProcessStat>& all) {
    std::vector<pid_t> found;
    const auto add = [&](pid_t pid) {
        if (std::find(found.begin(), found.end(), pid) == found.end()) found.push_back(pid);
    };
    for (const pid_t pid : roots) add(pid);
    for (std::size_t i = 0; i < found.size(); ++i) {
        const pid_t parent = found[i];
        for (const ProcessStat& process : all) {
            if (process.parent == parent) add(process.pid);
        }
    }
    return found;
}

std::optional<double> busiest_thread_share(const ThreadTicks& before, const ThreadTicks& after) {
    std::uint64_t all = 0;
    std::uint64_t busiest = 0;
    for (const auto& [thread, ticks] : after) {
        const auto earlier = before.find(thread);
        // A thread id that was given to another thread meanwhile begins at zero again.
        const std::uint64_t used = earlier == before.end() || earlier->second > ticks ? ticks : ticks - earlier->second;
        all += used;
        busiest = std::max(busiest, used);
    }
    if (all == 0) return std::nullopt;
    return static_cast<double>(busiest) / static_cast<double>(all);
}

ProcessMeter::ProcessMeter(std::vector<pid_t> pids) : pids_(std::move(pids)) { measured(pids_); }

double ProcessMeter::cpu_seconds() const {
    std::uint64_t ticks = 0;
    for (const ProcessStat& stat : measured(pids_)) ticks += stat.ticks;
    return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

ThreadTicks ProcessMeter::thread_ticks() const {
    ThreadTicks threads;
    for (const ProcessStat& process : measured(pids_)) {
        std::error_code ended;  // and so may have each thread before its file is read
        std::filesystem::directory_iterator at("/proc/" + std::to_string(process.pid) + "/task", ended);
        for (; !ended && at != std::filesystem::directory_iterator(); at.increment(ended)) {
            const std::string thread = at->path().filename().string();
            if (const auto stat = parse_stat(file_of(process.pid, "task/" + thread + "/stat")))
                threads[stat->pid] = stat->own_ticks;
        }
    }
    return threads;
}

Memory ProcessMeter::memory() const {
    Memory memory{.kib = 0, .source = "smaps_rollup"};
    for (const ProcessStat& stat : measured(pids_)) {
        auto kib = parse_kib(file_of(stat.pid, "smaps_rollup"), "Rss");
        if (!kib) {  // another user's process, or an old kernel
            memory.source = "status";
            kib = parse_kib(file_of(stat.pid, "status"), "VmRSS");
        }
        memory.kib += kib.value_or(0);
    }
    return memory;
}

double own_cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace bench
