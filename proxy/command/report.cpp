// `pgairlock report`: reads inventories, prints the report.
#include "proxy/report/report.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/report/report_against.hpp"

namespace proxy::command {
namespace {

bool colours() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && std::string_view(term) != "dumb";
}

/// Of the terminal; of a pipe, what fits into a mail.
std::size_t columns(const ReportOptions& options) {
    if (options.width) return *options.width;
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return std::max<std::size_t>(size.ws_col, 80);
    return report::TableOptions{}.width;
}

report::ReportFilter asked_for(const ReportOptions& options, std::chrono::system_clock::time_point now) {
    report::ReportFilter filter = to_filter(options.clients);
    if (!options.since.empty()) filter.since = parse_time_option("--since", options.since, now);
    if (!options.until.empty()) filter.until = parse_time_option("--until", options.until, now);
    if (filter.since && *filter.since > to_timestamp(now))
        throw std::runtime_error("--since: " + report::time_text(*filter.since) + " is still to come");
    if (filter.since && filter.until && *filter.since >= *filter.until)
        throw std::runtime_error("--until must be later than --since");
    for (const std::string& word : options.group_by) filter.group_by.push_back(*report::parse_dimension(word));
    filter.now = to_timestamp(now);
    return filter;
}

std::string formatted(const report::Report& report, const ReportOptions& options) {
    if (options.format == "json") return report::to_json(report);
    if (options.format == "csv") return report::to_csv(report);
    if (options.format == "html") return report::to_html(report, report.filter.now);
    return report::to_table(report, {.colours = colours(), .width = columns(options), .now = report.filter.now});
}

report::OlderReport older_report(const std::string& file) try {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream document;
    if (!in || !(document << in.rdbuf())) throw std::runtime_error("it cannot be read, or is empty");
    return report::parse_report(document.view());
} catch (const std::runtime_error& error) {
    throw std::runtime_error("--against " + report::printable(file) + ": " + error.what());
}

/// Whether any client matches, at whatever time it was seen: to be quiet is no mistake.
bool knows_any(const std::vector<InventoryRows>& inventories, report::ReportFilter filter) {
    filter.since.reset();
    filter.until.reset();
    return !report::make_report(inventories, filter).clients.empty();
}

}  // namespace

int report(const ReportOptions& options) try {
    const report::ReportFilter filter = asked_for(options, std::chrono::system_clock::now());
    const std::vector<InventoryRows> inventories = read_inventories(options.clients);
    report::Report report = report::make_report(inventories, filter);
    if (!options.against.empty()) report.against = report::compare(report, older_report(options.against));
    if (report.clients.empty() && filter.names_clients() && !knows_any(inventories, filter)) {
        std::fprintf(stderr, "error: %s\n", no_client_matches(inventories, options.clients).c_str());
        return exit_usage;
    }
    const std::string out = formatted(report, options);
    const bool written = std::fwrite(out.data(), 1, out.size(), stdout) == out.size();
    if (std::fflush(stdout) != 0 || !written) throw std::runtime_error("cannot write the report");
    bool failed = false;
    for (const std::string& what : options.fail_on) {
        const std::string why = report::why_failed(report, *report::parse_fail_on(what));
        if (why.empty()) continue;
        failed = true;
        std::fprintf(stderr, "--fail-on %s: %s\n", what.c_str(), report::printable(why).c_str());
    }
    return failed ? exit_failure : exit_ok;
} catch (const std::exception& error) {
    print_error(error.what());
    return exit_usage;
}

}  // namespace proxy::command
