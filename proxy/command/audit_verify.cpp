// `pgairlock audit verify`: whether audit files are what the proxy has written.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/record/chain_check.hpp"

namespace proxy::command {
namespace {

/// What is said about one file.
struct FileFacts {
    std::uint64_t lines = 0;
    std::string first_time;
    std::string last_time;
    std::vector<std::string> breaks;
};

/// Every event's line begins with it.
std::string time_of(std::string_view line) {
    constexpr std::string_view before = R"({"ts":")";
    if (!line.starts_with(before)) return {};
    return std::string(line.substr(before.size(), line.find('"', before.size()) - before.size()));
}

FileFacts read(std::istream& file, ChainCheck& check) {
    FileFacts facts;
    const auto tell = [&](const std::string& what) {
        facts.breaks.push_back("line " + std::to_string(facts.lines) + ": " + what);
    };
    for (std::string line; std::getline(file, line);) {
        ++facts.lines;
        if (const auto what = check.add(line)) tell(*what);
        const std::string time = time_of(line);
        if (time.empty()) continue;
        if (facts.first_time.empty()) facts.first_time = time;
        facts.last_time = time;
    }
    return facts;
}

/// Half a line may be what a running proxy writes at this moment, or all that is left of one.
bool ends_in_half_line(std::istream& file) {
    file.clear();
    file.seekg(0, std::ios::end);
    if (file.tellg() <= 0) return false;
    file.seekg(-1, std::ios::end);
    return file.get() != '\n';
}

void print(const std::string& path, const FileFacts& facts) {
    const std::string times = facts.first_time.empty() ? "" : ", " + facts.first_time + " to " + facts.last_time;
    std::printf("%s: %llu lines%s\n", protocol::printable(path).c_str(), static_cast<unsigned long long>(facts.lines),
                protocol::printable(times).c_str());
    for (const std::string& what : facts.breaks) std::printf("  %s\n", protocol::printable(what).c_str());
}

int conclude(const ChainCheck& check, std::uint64_t lines, std::size_t breaks) {
    if (check.uncovered() > 0) {
        std::printf("not covered: %llu lines before the chain begins\n",
                    static_cast<unsigned long long>(check.uncovered()));
    }
    if (check.goes_on_from_elsewhere())
        std::printf("not covered: the first line, which goes on from a file that was not given\n");
    if (check.value().empty()) {
        std::printf("broken: no line carries a chain value\n");
        return exit_failure;
    }
    std::printf("last value: %s\n", check.value().c_str());
    if (breaks > 0) {
        std::printf("broken at %zu place%s in %llu lines\n", breaks, breaks == 1 ? "" : "s",
                    static_cast<unsigned long long>(lines));
        return exit_failure;
    }
    std::printf("whole: %llu of %llu lines confirmed\n", static_cast<unsigned long long>(check.confirmed()),
                static_cast<unsigned long long>(lines));
    return exit_ok;
}

}  // namespace

int audit_verify(const AuditVerifyOptions& options) {
    ChainCheck check;
    std::uint64_t lines = 0;
    std::size_t breaks = 0;
    for (const std::string& path : options.files) {
        std::ifstream file(path, std::ios::binary);
        const bool readable = file && file.peek() != std::ifstream::traits_type::eof();
        if (!readable && !file.eof()) {
            std::fprintf(stderr, "error: cannot read %s: %s\n", protocol::printable(path).c_str(),
                         std::strerror(errno));
            return exit_usage;
        }
        FileFacts facts = read(file, check);
        if (file.bad()) {
            std::fprintf(stderr, "error: cannot read all of %s\n", protocol::printable(path).c_str());
            return exit_usage;
        }
        const std::string last = "line " + std::to_string(facts.lines) + ": ";
        const bool told = !facts.breaks.empty() && facts.breaks.back().starts_with(last);
        if (!told && ends_in_half_line(file)) facts.breaks.push_back(last + "is no whole line: the file ends in it");
        print(path, facts);
        lines += facts.lines;
        breaks += facts.breaks.size();
    }
    return conclude(check, lines, breaks);
}

}  // namespace proxy::command
