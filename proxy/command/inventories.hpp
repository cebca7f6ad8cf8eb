// Where the inventories of a command are, and which of their clients it is about.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/command/commands.hpp"
#include "proxy/report/report.hpp"

namespace proxy::command {

/// Those that were named; else the configuration's; else that of the default state directory.
/// Throws std::runtime_error when the configuration says that there is none, or cannot be read.
std::vector<std::string> inventory_places(const ClientsOptions& options);

/// Throws std::runtime_error that says what was looked at and what to do.
std::vector<InventoryRows> read_inventories(const ClientsOptions& options);

/// The options as a filter.
report::ReportFilter to_filter(const ClientsOptions& options);

/// What a duration is counted from.
enum class Durations { ago, from_now };

/// A point in time, a day, or a duration; throws std::runtime_error that names the option.
Timestamp parse_time_option(const char* option, const std::string& text, std::chrono::system_clock::time_point now,
                            Durations durations = Durations::ago);

/// What is wrong with the value of such an option; empty: nothing, or it is not given.
std::string why_no_time(const std::string& text);

/// "error: " and the text, as usage::print_harmless().
void print_error(std::string_view text);

/// What a filter that matches no client may have meant: one line for people.
std::string no_client_matches(const std::vector<InventoryRows>& inventories, const ClientsOptions& options);

}  // namespace proxy::command
