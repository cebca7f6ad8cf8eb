#include "proxy/command/sample_summary.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "protocol/utf8.hpp"

namespace proxy::command {
namespace {

using Line = std::array<std::string, 7>;

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string counted(std::uint64_t value, const std::string& one) {
    return number(value) + " " + one + (value == 1 ? "" : "s");
}

/// Columns as wide as what is in them; the last ones are numbers.
std::string table(const std::vector<Line>& lines) {
    constexpr std::size_t first_number = 5;
    std::array<std::size_t, std::tuple_size_v<Line>> widths{};
    for (const Line& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
    }
    std::string text;
    for (const Line& line : lines) {
        std::string row;
        for (std::size_t i = 0; i < line.size(); ++i) {
            const std::string pad(widths[i] - line[i].size(), ' ');
            row += (i == 0 ? "" : "  ") + (i < first_number ? line[i] + pad : pad + line[i]);
        }
        text += row + "\n";
    }
    return text;
}

}  // namespace

void SampleSummary::add(const ServerLook& look) {
    Server& server = servers_[look.upstream_addr];
    interval_ = look.interval;
    if (!look.failure.empty()) {
        ++server.failed;
        return;
    }
    ++server.looks;
    ++looks_;
    server.left_out += look.left_out;
    for (const auto& [kind, count] : look.sessions) {
        const auto sum = [add = &count](Row& row) {
            row.sessions += add->sessions;
            row.seen += add->seen;
        };
        sum(all_);
        if (kind.version.empty()) sum(clear_);
        const auto found = rows_.find(kind);
        if (found != rows_.end()) {
            sum(found->second);
        } else if (rows_.size() < max_rows) {
            sum(rows_[kind]);
        }
    }
}

std::string SampleSummary::text() const {
    std::vector<std::pair<SampledKind, Row>> rows(rows_.begin(), rows_.end());
    // In clear, then by the version of TLS, the oldest first; of these who is there most.
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return a.first.version != b.first.version ? a.first.version < b.first.version : a.second.seen > b.second.seen;
    });
    std::vector<Line> lines{{"TLS", "CLIENT", "USER", "DATABASE", "APPLICATION", "SESSIONS", "SEEN"}};
    for (const auto& [kind, row] : rows) {
        const auto shown = [](const std::string& text) { return text.empty() ? "-" : protocol::printable(text); };
        lines.push_back({kind.version.empty() ? "in clear" : protocol::printable(kind.version), shown(kind.client_addr),
                         shown(kind.usename), shown(kind.datname), shown(kind.application_name), number(row.sessions),
                         number(row.seen)});
    }
    std::string out = rows.empty() ? "No session but our own was there.\n" : table(lines);
    out += "\n" + counted(all_.sessions, "session") + ", of these " + number(clear_.sessions) + " in clear";
    for (const auto& [address, server] : servers_) {
        out += "\n" + address + ": " + counted(server.looks, "look");
        if (server.failed > 0) out += ", " + number(server.failed) + " without an answer";
        if (server.left_out > 0) out += ", " + counted(server.left_out, "session") + " left out: there were too many";
    }
    const double seconds = static_cast<double>(interval_.count()) / 1e6;
    std::string every = std::to_string(seconds);
    every.erase(every.find_last_not_of('0') + 1);
    if (every.ends_with('.')) every.pop_back();
    return out + "\nA session that was shorter than the " + every + " s between two looks may be missing.\n";
}

}  // namespace proxy::command
