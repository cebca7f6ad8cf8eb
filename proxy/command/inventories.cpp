#include "proxy/command/inventories.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <stdexcept>

#include "config/parse.hpp"
#include "config/spelling.hpp"
#include "config/usage/command_line.hpp"
#include "protocol/utf8.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/inventory/postgres.hpp"

namespace proxy::command {
namespace {

std::string configured_inventory(const std::string& file) {
    const config::Config config = named_config(file);
    const std::string& inventory = config.audit.inventory;
    if (inventory.empty()) throw Unusable("audit.inventory of " + file + " is off");
    if (PostgresUrl::is_one(inventory) || inventory.front() == '/') return inventory;
    return state_dir(config.runtime.state_dir) + "/" + inventory;
}

struct Named {
    const char* option;
    const std::string& wanted;
    std::set<std::string> known{};
};

}  // namespace

std::vector<std::string> inventory_places(const ClientsOptions& options) {
    std::vector<std::string> places = options.inventories;
    for (const std::string& folder : options.state_dirs) places.push_back(inventory_file(folder));
    if (!options.config_file.empty()) places.push_back(configured_inventory(options.config_file));
    if (places.empty()) places.push_back(inventory_file(state_dir("")));
    return places;
}

std::vector<InventoryRows> read_inventories(const ClientsOptions& options) {
    std::vector<InventoryRows> all;
    for (const std::string& place : inventory_places(options)) {
        for (InventoryRows& inventory : proxy::read_inventories(place)) {
            tell_of_gap(place, inventory.proxy);
            all.push_back(std::move(inventory));
        }
    }
    return all;
}

report::ReportFilter to_filter(const ClientsOptions& options) {
    return {.usename = options.user,
            .datname = options.database,
            .application_name = options.application,
            .client_addr = options.client,
            .upstream = options.upstream,
            .proxy = options.proxy};
}

Timestamp parse_time_option(const char* option, const std::string& text, std::chrono::system_clock::time_point now,
                            Durations durations) {
    if (const auto time = config::parse_time(text)) return to_timestamp(*time);
    if (const auto day = config::parse_time(text + "T00:00Z")) return to_timestamp(*day);
    if (const auto duration = config::parse_duration(text))
        return to_timestamp(durations == Durations::ago ? now - *duration : now + *duration);
    throw std::runtime_error(std::string(option) + ": " + why_no_time(text));
}

std::string why_no_time(const std::string& text) {
    const bool is_one =
        config::parse_time(text) || config::parse_time(text + "T00:00Z") || config::parse_duration(text);
    if (is_one || text.empty()) return {};
    if (config::parse_time(text + "Z")) return "a time needs its zone: write " + text + "Z for UTC";
    return "expected a time (2026-03-01T02:00Z), a day (2026-03-01) or a duration (7d), got \"" + text + "\"";
}

void print_error(std::string_view text) { usage::print_harmless("error: " + std::string(text) + "\n"); }

std::string no_client_matches(const std::vector<InventoryRows>& inventories, const ClientsOptions& options) {
    Named named[] = {
        {"--user", options.user},     {"--database", options.database}, {"--application", options.application},
        {"--client", options.client}, {"--upstream", options.upstream}, {"--proxy", options.proxy}};
    for (const InventoryRows& inventory : inventories) {
        for (const SampledSessionsRow& row : inventory.sampled_sessions) {
            named[0].known.insert(row.usename);
            named[1].known.insert(row.datname);
            named[2].known.insert(row.application_name);
            named[3].known.insert(row.client_addr);
            named[4].known.insert(row.upstream);
        }
        named[5].known.insert(inventory.proxy.name);
        for (const ClientRow& row : inventory.clients) {
            named[0].known.insert(row.who.usename);
            named[1].known.insert(row.who.datname);
            named[2].known.insert(row.who.application_name);
            named[3].known.insert(row.who.client_addr);
            named[4].known.insert(row.who.upstream);
        }
    }
    std::string text = "no client matches";
    for (const Named& one : named) {
        if (one.wanted.empty()) continue;
        text += std::string(text.ends_with("matches") ? " " : ", ") + one.option + " " + report::printable(one.wanted);
        if (one.known.contains(one.wanted)) continue;
        const std::vector<std::string_view> known(one.known.begin(), one.known.end());
        if (const auto meant = config::nearest(one.wanted, known))
            text += " (did you mean \"" + report::printable(*meant) + "\"?)";
    }
    return text;
}

}  // namespace proxy::command
