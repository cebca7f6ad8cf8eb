// What is missing, and all sessions together, as text.
#include <algorithm>

#include "proxy/transcript/transcript_text.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

using report::Cell;
using report::Column;
using report::Grid;

using Client = std::pair<ClientKey, ClientSummary>;

std::string address_text(const ClientKey& key) {
    return key.address.empty() ? "(this host)" : one_line(key.address, 63);
}

std::string process_text(const ClientKey& key) {
    std::string out = one_line(key.exe, 80);
    if (key.uid >= 0) out += (out.empty() ? "uid " : " uid ") + std::to_string(key.uid);
    return out;
}

/// In one line, for a sentence.
std::string client_text(const ClientKey& key) {
    std::string out = address_text(key);
    if (!key.user.empty()) out += " " + one_line(key.user, 63);
    if (!key.application_name.empty()) out += " \"" + one_line(key.application_name, 63) + "\"";
    const std::string process = process_text(key);
    return process.empty() ? out : out + " (" + process + ")";
}

int urgency(const ClientSummary& client) {
    if (client.fails_since()) return 3;
    if (!client.silent_while.empty()) return 2;
    return client.fails_more() || client.falls_to_clear() ? 1 : 0;
}

/// The one that lost its connection first, then whoever fails most.
std::vector<Client> by_urgency(const Summary& summary) {
    const auto clients = summary.clients();
    std::vector<Client> out(clients.begin(), clients.end());
    const bool compares = summary.compare_at().has_value();
    std::stable_sort(out.begin(), out.end(), [&](const Client& a, const Client& b) {
        const int left = compares ? urgency(a.second) : 0, right = compares ? urgency(b.second) : 0;
        return left != right ? left > right : a.second.all.failures() > b.second.all.failures();
    });
    return out;
}

std::string share(const ClientCounts& counts) {
    return std::to_string(counts.failures()) + " of " + std::to_string(counts.connections);
}

/// What a rotation did to it; empty: nothing.
std::string change_text(const ClientSummary& client) {
    const std::string why = ": " + one_line(client.last_failure, 300);
    if (client.fails_since()) return "connected before and only fails since" + why;
    if (!client.silent_while.empty()) {
        return "connected before and not since, while clients without a name fail TLS from the same place; probably "
               "this one: " +
               one_line(client.silent_while, 300);
    }
    if (client.falls_to_clear()) {
        return "had TLS before and connects in clear text since, " + counted(client.since.plain, "time") +
               ": it may refuse the certificate, and go on without";
    }
    if (!client.fails_more()) return {};
    if (client.before.connections == 0) return "was not seen before and fails since, " + share(client.since) + why;
    return "fails more since, " + share(client.before) + " before and " + share(client.since) + " since" + why;
}

std::string changes_text(const std::vector<Client>& clients) {
    constexpr std::size_t most = 200;
    std::string out;
    std::size_t lines = 0;
    for (const auto& [key, client] : clients) {
        const std::string change = change_text(client);
        if (change.empty() || ++lines > most) continue;
        out += client_text(key) + " " + change + "\n";
    }
    if (lines > most) out += "and " + counted(lines - most, "other") + " like these\n";
    return out;
}

std::string clients_text(const Summary& summary, const report::Layout& layout) {
    constexpr std::size_t most = 50;
    struct Figure {
        const char* title;
        std::uint64_t (*count)(const ClientCounts&);
    };
    constexpr Figure figures[] = {
        {"connections", [](const ClientCounts& c) { return c.connections; }},
        {"TLS", [](const ClientCounts& c) { return c.tls; }},
        {"in clear", [](const ClientCounts& c) { return c.plain; }},
        {"TLS failed", [](const ClientCounts& c) { return c.tls_failed; }},
        {"login failed", [](const ClientCounts& c) { return c.login_failed; }},
        {"rejected", [](const ClientCounts& c) { return c.rejected; }},
        {"server cert refused", [](const ClientCounts& c) { return c.server_certificate_refused; }},
        {"server TLS failed", [](const ClientCounts& c) { return c.server_tls_failed; }},
        {"no server", [](const ClientCounts& c) { return c.no_server(); }}};
    const bool two = summary.compare_at().has_value();
    const auto clients = by_urgency(summary);
    Grid grid;
    grid.columns = {{.title = "client", .shrinks = true, .distinct = true},
                    {.title = "user", .shrinks = true},
                    {.title = "application", .shrinks = true},
                    {.title = "process", .shrinks = true}};
    for (const Figure& figure : figures) grid.columns.push_back({.title = figure.title, .right = true});
    for (const auto& [key, client] : clients) {
        if (grid.rows.size() == most) break;
        const bool is_red = two && (client.fails_since() || !client.silent_while.empty());
        std::vector<Cell> row{{address_text(key), is_red ? report::red : nullptr},
                              {one_line(key.user, 63)},
                              {one_line(key.application_name, 63)},
                              {process_text(key)}};
        for (const Figure& figure : figures) {
            row.push_back(
                {two ? std::to_string(figure.count(client.before)) + " > " + std::to_string(figure.count(client.since))
                     : std::to_string(figure.count(client.all))});
        }
        grid.rows.push_back(std::move(row));
    }
    std::string out = two ? "Clients, before > since " + time_text(*summary.compare_at()) + "\n" : "Clients\n";
    out += to_text(std::move(grid), layout);
    const std::uint64_t more = clients.size() - std::min(clients.size(), most) + summary.others();
    if (more > 0) out += "and " + counted(more, "other") + "\n";
    const bool is_all_before = summary.since().connections == 0, is_all_since = summary.before().connections == 0;
    if (two && is_all_before != is_all_since) {
        out += std::string("Nothing here began ") + (is_all_before ? "since" : "before") +
               " that moment: nothing is compared. Is the day right, and the zone?\n";
    }
    if (two) out += changes_text(clients);
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
           std::to_string(all.server_certificate_refused) + " server certificate refused, " +
           std::to_string(all.server_tls_failed) + " TLS to the server failed, " + std::to_string(all.no_server()) +
           " no server), " + counted(all.cancels, "cancel request") + "; " + counted(totals.statements, "statement") +
           ", " + counted(totals.failed, "error") + ", " + counted(totals.rows, "row") + "\n\n";
    if (all.connections > 0) out += clients_text(summary, layout);
    return out + slowest_text(summary, layout) + errors_text(summary, layout) + events_text(reading);
}

}  // namespace proxy::transcript
