// `pgairlock client`: what people decide about clients, written into their inventory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>

#include "protocol/utf8.hpp"
#include "proxy/command/client_list.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/inventory/marks.hpp"

namespace proxy::command {
namespace {

using SystemTime = std::chrono::system_clock::time_point;

/// A sentence or two: every report has it in a cell.
constexpr std::size_t max_text = 1000;

/// What one of the commands does to each client.
struct MarkChange {
    std::function<void(MarkRow& mark, const report::ReportClient& client)> make;
    /// Of the clients that match, those that it is about; empty: all.
    std::function<bool(const report::ReportClient& client)> concerns{};
    const char* none_concerned = "";
    std::string done;  ///< "accepted": behind their number
};

report::Report matching(const std::vector<InventoryRows>& inventories, const ClientsOptions& options, Timestamp now) {
    report::ReportFilter filter = to_filter(options);
    filter.now = now;
    return report::make_report(inventories, filter);
}

std::string text_option(const char* option, const std::string& text) {
    if (text.size() > max_text)
        throw std::runtime_error(std::string(option) + ": longer than " + std::to_string(max_text) + " bytes");
    return protocol::as_utf8(text);
}

/// Rows read a moment ago are changed and written whole, so that in a fleet, where marks come from
/// several places and the newest counts, it says everything.
std::vector<MarkRow> changed_marks(const std::vector<report::ReportClient>& clients, const MarkChange& change,
                                   Timestamp now) {
    std::vector<MarkRow> marks;
    for (const report::ReportClient& client : clients) {
        MarkRow mark = report::mark_of(client);
        change.make(mark, client);
        mark.changed_at = std::max(now, mark.changed_at + 1);  // also where the clock of another host is ahead
        // One that comes through a proxy and around it has two rows, and one mark.
        const auto same =
            std::find_if(marks.begin(), marks.end(), [&](const MarkRow& other) { return other.who == mark.who; });
        if (same == marks.end()) {
            marks.push_back(std::move(mark));
        } else {
            report::add_state(*same, mark);
        }
    }
    return marks;
}

int change_marks(const ClientOptions& options, const MarkChange& change, Timestamp now) {
    if (!options.all && !to_filter(options.clients).names_clients())
        throw std::runtime_error(
            "say which clients: --user, --database, --application, --client, --upstream or --proxy; or --all");
    const std::vector<std::string> places = inventory_places(options.clients);
    if (places.size() != 1) throw std::runtime_error("it is written to one inventory: name one of them only");
    const std::vector<InventoryRows> inventories = read_inventories(options.clients);
    report::Report report = matching(inventories, options.clients, now);
    if (report.clients.empty()) {
        std::fprintf(stderr, "error: %s\n", no_client_matches(inventories, options.clients).c_str());
        return exit_failure;
    }
    const std::size_t nameless =
        std::erase_if(report.clients, [](const report::ReportClient& client) { return !client.known; });
    if (report.clients.empty()) {
        std::fprintf(stderr, "error: only failed handshakes match: they name nobody of whom anything could be said\n");
        return exit_failure;
    }
    if (change.concerns) {
        std::erase_if(report.clients, [&](const report::ReportClient& client) { return !change.concerns(client); });
        if (report.clients.empty()) {
            std::fprintf(stderr, "error: %s\n", change.none_concerned);
            return exit_failure;
        }
    }
    write_marks(places.front(), changed_marks(report.clients, change, now));
    for (const report::ReportClient& client : report.clients) std::printf("%s\n", client_line(report, client).c_str());
    std::printf("%s %s\n", report::plural(report.clients.size(), "client").c_str(), change.done.c_str());
    if (nameless > 0) {
        std::printf("%s of failed handshakes left out: they name nobody of whom anything could be said\n",
                    report::plural(nameless, "row").c_str());
    }
    return exit_ok;
}

MarkChange acceptance(const ClientOptions& options, SystemTime now) {
    const Timestamp until =
        options.until.empty() ? 0 : parse_time_option("--until", options.until, now, Durations::from_now);
    if (until != 0 && until <= to_timestamp(now))
        throw std::runtime_error("--until: " + report::time_text(until) + " is over");
    const std::string owner = text_option("--owner", options.owner);
    const std::string reason = text_option("--reason", options.reason);
    return {.make =
                [=](MarkRow& mark, const report::ReportClient& client) {
                    mark.accepted = true;
                    mark.accepted_until = until;
                    report::set_state(mark, client, report::complaints(client));
                    mark.owner = owner;
                    mark.reason = reason;
                },
            .done = "accepted" + (until == 0 ? "" : " until " + report::time_text(until))};
}

MarkChange withdrawn_acceptance() {
    return {.make =
                [](MarkRow& mark, const report::ReportClient& client) {
                    mark.accepted = false;
                    mark.accepted_until = 0;
                    report::set_state(mark, client, {});
                    mark.owner.clear();
                    mark.reason.clear();
                },
            .concerns = [](const report::ReportClient& client) { return client.accepted.has_value(); },
            .none_concerned = "none of the clients that match was accepted",
            .done = "accepted no more"};
}

template <class Command>
int guarded(Command command) try {
    return command(std::chrono::system_clock::now());
} catch (const std::exception& error) {
    print_error(error.what());
    return exit_usage;
}

}  // namespace

int client_list(const ClientOptions& options) {
    return guarded([&](SystemTime now) {
        const std::vector<InventoryRows> inventories = read_inventories(options.clients);
        const report::Report report = matching(inventories, options.clients, to_timestamp(now));
        if (report.clients.empty() && report.filter.names_clients()) {
            std::fprintf(stderr, "error: %s\n", no_client_matches(inventories, options.clients).c_str());
            return exit_failure;
        }
        const std::string out = options.json ? clients_json(report) : clients_table(report);
        std::fwrite(out.data(), 1, out.size(), stdout);
        if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write the list");
        return exit_ok;
    });
}

int client_accept(const ClientOptions& options) {
    return guarded([&](SystemTime now) {
        const bool says_more = !(options.until.empty() && options.owner.empty() && options.reason.empty());
        if (options.withdraw && says_more)
            throw std::runtime_error("--withdraw takes an acceptance back: no --until, --owner or --reason");
        return change_marks(options, options.withdraw ? withdrawn_acceptance() : acceptance(options, now),
                            to_timestamp(now));
    });
}

int client_note(const ClientOptions& options) {
    return guarded([&](SystemTime now) {
        if (options.withdraw != options.reason.empty())
            throw std::runtime_error(options.withdraw ? "--withdraw takes a note back: no text" : "say what to note");
        const std::string text = text_option("the note", options.reason);
        MarkChange change{.make = [&](MarkRow& mark, const report::ReportClient&) { mark.note = text; },
                          .done = "noted"};
        if (options.withdraw) {
            change.concerns = [](const report::ReportClient& client) { return !client.note.empty(); };
            change.none_concerned = "there is no note about the clients that match";
            change.done = "without a note now";
        }
        return change_marks(options, change, to_timestamp(now));
    });
}

int client_repaired(const ClientOptions& options) {
    return guarded([&](SystemTime now) {
        if (options.withdraw && !options.at.empty())
            throw std::runtime_error("--withdraw takes a repair back: no --at");
        const Timestamp at = options.withdraw     ? 0
                             : options.at.empty() ? to_timestamp(now)
                                                  : parse_time_option("--at", options.at, now);
        if (at > to_timestamp(now)) throw std::runtime_error("--at: " + report::time_text(at) + " is still to come");
        MarkChange change{.make = [=](MarkRow& mark, const report::ReportClient&) { mark.repaired_at = at; },
                          .done = "repaired at " + report::time_text(at)};
        if (options.withdraw) {
            change.concerns = [](const report::ReportClient& client) { return client.repaired_at != 0; };
            change.none_concerned = "none of the clients that match was repaired";
            change.done = "not repaired";
        }
        return change_marks(options, change, to_timestamp(now));
    });
}

}  // namespace proxy::command
