#include "proxy/metrics/process_numbers.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace proxy {
namespace {

/// Of /proc/self/stat, from its third on: the second is the program's name, which may hold
/// anything. proc(5) counts from 1.
std::vector<std::string> stat_fields() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    const std::size_t end = line.rfind(')');
    std::istringstream rest(end == std::string::npos ? "" : line.substr(end + 1));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;) fields.push_back(field);
    return fields;
}

/// In seconds since the epoch; 0: unknown.
double boot_time() {
    std::ifstream file("/proc/stat");
    std::string name;
    double seconds = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("btime ")) std::istringstream(line) >> name >> seconds;
    }
    return seconds;
}

/// One by one: with 10,000 sessions some 20 ms, and more than all other metrics together.
std::optional<std::uint64_t> listed_descriptors() {
    std::error_code error;
    std::uint64_t count = 0;
    for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end; at.increment(error))
        ++count;
    if (error || count == 0) return std::nullopt;
    return count - 1;  // the one that reads them
}

/// Linux has the number as the folder's size since 6.2, which costs nothing. Before, it is counted
/// once a second at most, however many ask.
std::optional<std::uint64_t> count_descriptors() {
    struct stat folder {};
    if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0) return std::uint64_t(folder.st_size);
    static thread_local std::optional<std::uint64_t> count;
    static thread_local std::chrono::steady_clock::time_point counted{};
    if (const auto now = std::chrono::steady_clock::now(); !count || now - counted >= std::chrono::seconds(1)) {
        count = listed_descriptors();
        counted = now;
    }
    return count;
}

}  // namespace

ProcessNumbers process_numbers() {
    ProcessNumbers numbers;
    const std::vector<std::string> fields = stat_fields();
    constexpr std::size_t utime = 14 - 3, stime = 15 - 3, starttime = 22 - 3, vsize = 23 - 3, rss = 24 - 3;
    const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (fields.size() > rss) {
        numbers.cpu_seconds = (std::stod(fields[utime]) + std::stod(fields[stime])) * tick;
        numbers.virtual_bytes = std::stoull(fields[vsize]);
        numbers.resident_bytes = std::stoull(fields[rss]) * page;
        static std::atomic<double> boot{0};
        if (boot == 0) boot = boot_time();  // once it could be read it stays
        if (boot > 0) numbers.started_seconds = boot + std::stod(fields[starttime]) * tick;
    }
    numbers.open_fds = count_descriptors();
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
        numbers.max_fds =
            limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::uint64_t>::max() : std::uint64_t{limit.rlim_cur};
    return numbers;
}

}  // namespace proxy
