// `pgairlock report`: reads inventories, prints the report.
#include "proxy/report/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "config/load.hpp"
#include "config/parse.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"

namespace proxy::command {
namespace {

/// A point in time, a day, or how long ago.
std::optional<Timestamp> parse_since(const std::string& text, std::chrono::system_clock::time_point now) {
    if (const auto time = config::parse_time(text)) return to_timestamp(*time);
    if (const auto day = config::parse_time(text + "T00:00Z")) return to_timestamp(*day);
    if (const auto ago = config::parse_duration(text)) return to_timestamp(now - *ago);
    return std::nullopt;
}

bool colours() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && std::string_view(term) != "dumb";
}

std::vector<InventoryRows> read_all(const ReportOptions& options) {
    std::vector<std::string> places = options.inventories;
    for (const std::string& folder : options.state_dirs) places.push_back(inventory_file(folder));
    if (places.empty()) places.push_back(inventory_file(state_dir("")));
    std::vector<InventoryRows> all;
    for (const std::string& place : places) {
        for (InventoryRows& inventory : read_inventories(place)) all.push_back(std::move(inventory));
    }
    return all;
}

bool has_failed(const report::Report& report, const std::vector<std::string>& fail_on) {
    return std::any_of(fail_on.begin(), fail_on.end(), [&](const std::string& what) {
        return std::any_of(report.clients.begin(), report.clients.end(), [&](const report::ReportClient& client) {
            return what == "weak" ? client.weak : client.verifies == protocol::Verifies::unknown;
        });
    });
}

}  // namespace

int report(const ReportOptions& options) {
    const auto now = std::chrono::system_clock::now();
    report::ReportFilter filter{.since = {},
                                .usename = options.user,
                                .datname = options.database,
                                .client_addr = options.client,
                                .upstream = options.upstream};
    if (!options.since.empty()) {
        filter.since = parse_since(options.since, now);
        if (!filter.since) {
            std::fprintf(stderr,
                         "error: --since: expected a time (2026-03-01T02:00Z), a day (2026-03-01) or a duration "
                         "(168h), got \"%s\"\n",
                         options.since.c_str());
            return exit_usage;
        }
    }
    report::Report report;
    try {
        report = report::make_report(read_all(options), filter);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return exit_usage;
    }
    std::string out;
    if (options.format == "json") {
        out = report::to_json(report);
    } else if (options.format == "csv") {
        out = report::to_csv(report);
    } else if (options.format == "html") {
        out = report::to_html(report, to_timestamp(now));
    } else {
        out = report::to_table(report, {.colours = colours(), .now = to_timestamp(now)});
    }
    std::fwrite(out.data(), 1, out.size(), stdout);
    if (std::fflush(stdout) != 0) {
        std::fprintf(stderr, "error: cannot write the report\n");
        return exit_usage;
    }
    return has_failed(report, options.fail_on) ? exit_failure : exit_ok;
}

}  // namespace proxy::command
