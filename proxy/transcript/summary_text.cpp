// What is missing, and all sessions together, as text.
#include <algorithm>

#include "proxy/transcript/transcript_text.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

using report::Cell;
using report::Column;
using report::Grid;

std::string client_text(const std::string& address) { return address.empty() ? "(this host)" : one_line(address, 63); }

/// The one that lost its connection first, then whoever fails most.
std::vector<const std::pair<const std::string, ClientSummary>*> by_urgency(const Summary& summary) {
    std::vector<const std::pair<const std::string, ClientSummary>*> out;
    for (const auto& client : summary.clients()) out.push_back(&client);
    std::stable_sort(out.begin(), out.end(), [](const auto* a, const auto* b) {
        const ClientSummary &left = a->second, &right = b->second;
        if (left.fails_since() != right.fails_since()) return left.fails_since();
        return left.all.failures() > right.all.failures();
    });
    return out;
}

std::string clients_text(const Summary& summary, const report::Layout& layout) {
    constexpr std::size_t most = 50;
    struct Figure {
        const char* title;
        std::uint64_t ClientCounts::*count;
    };
    constexpr Figure figures[] = {{"connections", &ClientCounts::connections},
                                  {"TLS", &ClientCounts::tls},
                                  {"in clear", &ClientCounts::plain},
                                  {"TLS failed", &ClientCounts::tls_failed},
                                  {"login failed", &ClientCounts::login_failed},
                                  {"rejected", &ClientCounts::rejected},
                                  {"no server", &ClientCounts::upstream_failed}};
    Grid grid;
    grid.columns.push_back({.title = "client", .shrinks = true, .distinct = true});
    for (const Figure& figure : figures) grid.columns.push_back({.title = figure.title, .right = true});
    grid.columns.push_back({.title = "users", .shrinks = true});
    const auto clients = by_urgency(summary);
    for (const auto* client : clients) {
        if (grid.rows.size() == most) break;
        const ClientSummary& counts = client->second;
        std::vector<Cell> row{{client_text(client->first), counts.fails_since() ? report::red : nullptr}};
        for (const Figure& figure : figures) {
            const bool two = summary.compare_at().has_value();
            const std::string all = std::to_string(counts.all.*figure.count);
            row.push_back(
                {two ? std::to_string(counts.before.*figure.count) + " > " + std::to_string(counts.since.*figure.count)
                     : all});
        }
        std::string users;
        for (const std::string& user : counts.users) users += (users.empty() ? "" : ", ") + one_line(user, 63);
        row.push_back({users});
        grid.rows.push_back(std::move(row));
    }
    std::string out =
        summary.compare_at() ? "Clients, before > since " + time_text(*summary.compare_at()) + "\n" : "Clients\n";
    out += to_text(std::move(grid), layout);
    const std::uint64_t more = clients.size() - std::min(clients.size(), most) + summary.others();
    if (more > 0) out += "and " + counted(more, "other") + "\n";
    for (const auto* client : clients) {
        if (client->second.fails_since())
            out += client_text(client->first) +
                   " connected before and only fails since: " + one_line(client->second.last_failure, 300) + "\n";
    }
    return out + "\n";
}

std::string slowest_text(const Summary& summary, const report::Layout& layout) {
    if (summary.slowest().empty()) return {};
    Grid grid{.columns = {{.title = "took", .right = true},
                          {.title = "first row", .right = true},
                          {.title = "at"},
                          {.title = "session"},
                          {.title = "user"},
                          {.title = "rows", .right = true},
                          {.title = "statement"}}};
    for (const SlowStatement& slow : summary.slowest()) {
        const auto& statement = slow.statement;
        const bool has_rows = statement.first_row > statement.begun;
        grid.rows.push_back({{duration_text(duration(statement))},
                             {has_rows ? duration_text(statement.first_row - statement.begun) : ""},
                             {clock_text(statement.begun)},
                             {one_line(slow.session, 40)},
                             {one_line(slow.user, 40)},
                             {std::to_string(statement.rows)},
                             {one_line(statement.text, 80)}});
    }
    return "Slowest statements\n" + to_text(std::move(grid), layout) + "\n";
}

std::string errors_text(const Summary& summary, const report::Layout& layout) {
    if (summary.totals().errors.empty()) return {};
    Grid grid{.columns = {{.title = "SQLSTATE"}, {.title = "errors", .right = true}, {.title = "for example"}}};
    for (const auto& [sqlstate, error] : summary.totals().errors)
        grid.rows.push_back({{one_line(sqlstate, 5)}, {std::to_string(error.count)}, {one_line(error.example, 100)}});
    return "Errors\n" + to_text(std::move(grid), layout) + "\n";
}

std::string events_text(const Reading& reading) {
    if (reading.events().empty()) return {};
    std::string out = "Meanwhile\n";
    for (const ProcessEvent& event : reading.events())
        out += "  " + time_text(event.time) + "  " + one_line(event.text, 200) + "\n";
    return out + "\n";
}

}  // namespace

std::string incomplete_text(const std::vector<std::string>& lacks) {
    if (lacks.empty()) return "Nothing is known to be missing.\n\n";
    std::string out = "What is missing here:\n";
    for (const std::string& text : lacks) out += "  - " + text + "\n";
    return out + "\n";
}

std::string summary_text(const Summary& summary, const Reading& reading, const report::Layout& layout) {
    const ClientCounts& all = summary.all();
    std::string out = "Summary: " + counted(all.connections, "connection");
    if (reading.first_time() > 0)
        out += " from " + time_text(reading.first_time()) + " to " + time_text(reading.last_time());
    if (reading.left_aside() > 0) out += "; " + counted(reading.left_aside(), "other") + " do not match";
    const SessionTotals& totals = summary.totals();
    out += "\n" + counted(all.failures(), "failure") + " (" + std::to_string(all.tls_failed) + " TLS, " +
           std::to_string(all.login_failed) + " login, " + std::to_string(all.rejected) + " rejected, " +
           std::to_string(all.upstream_failed) + " no server), " + counted(all.cancels, "cancel request") + "; " +
           counted(totals.statements, "statement") + ", " + counted(totals.failed, "error") + ", " +
           counted(totals.rows, "row") + "\n\n";
    if (all.connections > 0) out += clients_text(summary, layout);
    return out + slowest_text(summary, layout) + errors_text(summary, layout) + events_text(reading);
}

}  // namespace proxy::transcript
