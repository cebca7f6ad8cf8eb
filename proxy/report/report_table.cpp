// The report for a terminal: at most 120 columns; what is too long is shortened in the middle and
// in full in the other formats.
#include <algorithm>
#include <array>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

constexpr std::size_t max_width = 120;
constexpr std::size_t min_column = 8;  ///< "10.0….17" can still be told from others

constexpr const char* red = "\x1b[31m";
constexpr const char* yellow = "\x1b[33m";
constexpr const char* green = "\x1b[32m";
constexpr const char* bold = "\x1b[1m";
constexpr const char* dim = "\x1b[2m";
constexpr const char* reset = "\x1b[0m";

/// Columns of a terminal: East Asian wide characters and emoji take two, combining marks none.
/// Close enough for names.
std::size_t width(char32_t c) {
    if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200d) || (c >= 0xfe00 && c <= 0xfe0f)) return 0;
    const bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                      (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                      (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
    return wide ? 2 : 1;
}

struct Character {
    std::string bytes;
    std::size_t width = 0;
};

/// `text` is printable().
std::vector<Character> characters(std::string_view text) {
    std::vector<Character> out;
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text.front());
        const std::size_t length = std::min<std::size_t>(text.size(), first >= 0xf0   ? 4
                                                                      : first >= 0xe0 ? 3
                                                                      : first >= 0xc0 ? 2
                                                                                      : 1);
        char32_t code = length == 1 ? first : first & (0x7f >> length);
        for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
        out.push_back({std::string(text.substr(0, length)), width(code)});
        text.remove_prefix(length);
    }
    return out;
}

std::size_t width(std::string_view text) {
    std::size_t sum = 0;
    for (const Character& c : characters(text)) sum += c.width;
    return sum;
}

/// At most `limit` columns: the middle becomes "…", because names differ at either end.
std::string shortened(const std::string& text, std::size_t limit) {
    if (width(text) <= limit) return text;
    const auto all = characters(text);
    const std::size_t room = limit - 1;
    std::string head, tail;
    std::size_t used = 0;
    for (std::size_t i = 0; i < all.size() && used + all[i].width <= (room + 1) / 2; ++i) {
        head += all[i].bytes;
        used += all[i].width;
    }
    for (std::size_t i = all.size(); i-- > 0 && used + all[i].width <= room;) {
        tail.insert(0, all[i].bytes);
        used += all[i].width;
    }
    return head + "…" + tail;
}

struct Cell {
    std::string text;
    const char* colour = nullptr;
};

struct Column {
    const char* title;
    bool right = false;
    bool shrinks = false;
};

template <std::size_t N>
std::array<std::size_t, N> widths(const std::array<Column, N>& columns, const std::vector<std::array<Cell, N>>& rows) {
    std::array<std::size_t, N> out{};
    std::size_t total = 2 * (N - 1);
    for (std::size_t i = 0; i < N; ++i) {
        out[i] = width(columns[i].title);
        for (const auto& row : rows) out[i] = std::max(out[i], width(row[i].text));
        total += out[i];
    }
    while (total > max_width) {
        std::size_t* widest = nullptr;
        for (std::size_t i = 0; i < N; ++i) {
            if (columns[i].shrinks && out[i] > min_column && (!widest || out[i] > *widest)) widest = &out[i];
        }
        if (!widest) break;
        --*widest;
        --total;
    }
    return out;
}

template <std::size_t N>
std::string layout(const std::array<Column, N>& columns, const std::vector<std::array<Cell, N>>& rows, bool colours) {
    const auto column_widths = widths(columns, rows);
    const auto line = [&](const std::array<Cell, N>& cells) {
        std::string out;
        for (std::size_t i = 0; i < N; ++i) {
            const std::string text = shortened(cells[i].text, column_widths[i]);
            const std::string padding(column_widths[i] - width(text), ' ');
            const std::string shown = colours && cells[i].colour ? cells[i].colour + text + reset : text;
            out += columns[i].right ? padding + shown : shown + (i + 1 < N ? padding : "");
            if (i + 1 < N) out += "  ";
        }
        while (out.ends_with(' ')) out.pop_back();
        return out + "\n";
    };
    std::array<Cell, N> titles;
    for (std::size_t i = 0; i < N; ++i) titles[i] = {columns[i].title, bold};
    std::string out = line(titles);
    for (const auto& row : rows) out += line(row);
    return out;
}

/// "812", "12.3k", "4.1M".
std::string short_number(std::uint64_t number) {
    if (number < 10'000) return std::to_string(number);
    constexpr std::array<std::pair<std::uint64_t, const char*>, 4> units{
        {{1'000'000'000'000, "T"}, {1'000'000'000, "G"}, {1'000'000, "M"}, {1'000, "k"}}};
    for (const auto& [unit, suffix] : units) {
        if (number < unit) continue;
        const std::uint64_t tenths = number / (unit / 10);
        return tenths >= 1000 ? std::to_string(tenths / 10) + suffix
                              : std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + suffix;
    }
    return {};
}

/// "now", "35m", "7h", "12d".
std::string age(Timestamp then, Timestamp now) {
    const std::int64_t minutes = (now - then) / 60'000'000;
    if (minutes < 1) return "now";
    if (minutes < 120) return std::to_string(minutes) + "m";
    if (minutes < 48 * 60) return std::to_string(minutes / 60) + "h";
    return std::to_string(minutes / (24 * 60)) + "d";
}

std::string process_name(const std::string& exe) { return printable(exe.substr(exe.rfind('/') + 1)); }

std::string source(const ClientIdentity& who) {
    const std::string address = who.client_addr.empty() ? "local" : printable(who.client_addr);
    return who.client_exe.empty() ? address : address + " " + process_name(who.client_exe);
}

Cell answer(std::string_view word, std::string_view bad) {
    if (word == "unknown") return {"?", yellow};
    return {std::string(word), word == bad ? red : green};
}

bool has_possible(const ReportClient& client) {
    return std::any_of(client.row.evidence.begin(), client.row.evidence.end(),
                       [](const EvidenceRow& row) { return row.possible; });
}

bool has_unreadable(const ReportClient& client) {
    return std::any_of(client.row.evidence.begin(), client.row.evidence.end(),
                       [](const EvidenceRow& row) { return !row.evidence && !row.possible; });
}

const char* colour(Action action) {
    if (action == Action::none) return green;
    return action == Action::probe ? yellow : red;
}

std::string plural(std::uint64_t count, const char* noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string summary(const Report& report, const TableOptions& options) {
    const ReportSummary& s = report.summary;
    std::string out;
    const auto line = [&](std::uint64_t count, const std::string& meaning, const char* when_any) {
        const std::string number = std::to_string(count);
        const std::string padded = std::string(number.size() < 7 ? 7 - number.size() : 0, ' ') + number;
        out += (options.colours && count > 0 && when_any ? when_any + padded + reset : padded) + "  " + meaning + "\n";
    };
    out += (options.colours ? std::string(bold) : "") + plural(s.clients, "client") + (options.colours ? reset : "") +
           ", " + plural(s.connections, "connection");
    if (s.clients > 0) out += ", from " + time_text(s.first_seen) + " to " + time_text(s.last_seen);
    out += "\n";
    if (report.since) out += "what was not seen since " + time_text(*report.since) + " is left out\n";
    line(s.plain, "in clear text", red);
    line(s.tls_not_verifying, "use TLS and do not verify the server (proven)", red);
    line(s.verifying, "verify the server", green);
    line(s.unknown, "use TLS, and whether they verify is not known", yellow);
    out += "\n";
    line(s.breaks_on_force_ssl,
         "break on rds.force_ssl=1; of " + std::to_string(s.breaks_on_force_ssl_unknown) + " it is not known", red);
    line(
        s.breaks_on_ca_rotation,
        "are not ready for the CA rotation; of " + std::to_string(s.breaks_on_ca_rotation_unknown) + " it is not known",
        red);
    line(s.weak, "are weak: clear text, no verification, old TLS", red);
    if (s.falls_back > 0) line(s.falls_back, "fall back to clear text when TLS fails", red);
    if (s.never_logged_in > 0) line(s.never_logged_in, "never logged in", yellow);
    if (s.bridged > 0) line(s.bridged, "are asked for their password (bridged SCRAM)", nullptr);
    for (const auto& [kind, cost] : s.probes) {
        out += "  probe " + printable(kind) + ": shown to " + plural(cost.shown, "connection") + ", " +
               std::to_string(cost.accepted) + " accepted, " + std::to_string(cost.refused) + " lost by it\n";
    }
    return out;
}

std::string clients(const Report& report, const TableOptions& options) {
    static constexpr std::array<Column, 10> columns{{{"CLIENT", false, true},
                                                     {"USER@DATABASE", false, true},
                                                     {"APPLICATION", false, true},
                                                     {"CONNS", true},
                                                     {"SEEN", true},
                                                     {"SSLMODE"},
                                                     {"VERIFIES"},
                                                     {"SSL?"},
                                                     {"CA?"},
                                                     {"ACTION"}}};
    std::vector<std::array<Cell, 10>> rows;
    for (const ReportClient& client : report.clients) {
        const ClientRow& row = client.row;
        std::array<Cell, 10> cells;
        cells[0].text = source(row.who);
        cells[1] = client.known ? Cell{printable(row.who.usename) + "@" + printable(row.who.datname)}
                                : Cell{"(not known)", dim};
        cells[2].text = printable(row.who.application_name);
        cells[3].text = short_number(row.connections);
        cells[4].text = age(row.last_seen, options.now);
        cells[5].text = interval_text(client.sslmode) + (client.changed ? "*" : "") +
                        (has_possible(client) ? "~" : "") + (has_unreadable(client) ? "!" : "");
        cells[6] = answer(protocol::to_string(client.verifies), "no");
        cells[7] = answer(protocol::to_string(client.breaks_on_force_ssl), "yes");
        cells[8] = answer(protocol::to_string(client.breaks_on_ca_rotation), "yes");
        cells[9] = {std::string(to_string(client.action)), colour(client.action)};
        rows.push_back(std::move(cells));
    }
    return layout(columns, rows, options.colours);
}

std::string certificates(const Report& report, const TableOptions& options) {
    static constexpr std::array<Column, 7> columns{{{"UPSTREAM", false, true},
                                                    {"ADDRESS", false, true},
                                                    {"ISSUER", false, true},
                                                    {"ANCHOR", false, true},
                                                    {"EXPIRES"},
                                                    {"FIRST SEEN"},
                                                    {"CANDIDATE"}}};
    std::vector<std::array<Cell, 7>> rows;
    for (const ReportCertificate& certificate : report.upstream_certificates) {
        const UpstreamCertificateRow& row = certificate.row;
        std::array<Cell, 7> cells;
        cells[0].text = printable(row.upstream);
        cells[1].text = printable(row.upstream_addr);
        cells[2].text = printable(row.issuer);
        cells[3].text = printable(row.anchor);
        cells[4] = {time_text(row.not_after).substr(0, 10),
                    row.not_after <= options.now && certificate.current ? red : nullptr};
        cells[5].text = time_text(row.first_seen).substr(0, 10);
        if (!row.candidate_ok) {
            cells[6] = {"not rehearsed", dim};
        } else {
            const std::string since =
                row.candidate_since ? " since " + time_text(*row.candidate_since).substr(0, 10) : "";
            cells[6] = {(*row.candidate_ok ? "suffices" : "fails") + since, *row.candidate_ok ? green : red};
        }
        if (!certificate.current) {
            for (Cell& cell : cells) cell.colour = dim;
            cells[6].text = "replaced " + time_text(row.last_seen).substr(0, 10);
        }
        rows.push_back(std::move(cells));
    }
    return layout(columns, rows, options.colours);
}

/// Only of what is there to be explained.
std::string explanations(const Report& report) {
    std::string out;
    const auto line = [&](std::string word, const std::string& meaning) {
        word.resize(22, ' ');
        out += "  " + word + meaning + "\n";
    };
    line("SSLMODE", "what was seen leaves these libpq modes open; docs/verification.md");
    line("VERIFIES", "no: would accept an impostor; yes: checks the CA at least; ?: not known");
    line("SSL?", "breaks on rds.force_ssl=1");
    line("CA?", "breaks on the CA rotation: it verifies, and refused the candidate certificate");
    const auto any = [&](auto&& test) { return std::any_of(report.clients.begin(), report.clients.end(), test); };
    if (any([](const ReportClient& c) { return c.changed; }))
        line("*", "older evidence contradicts the newer and was left out: changed, or two programs");
    if (any(has_possible))
        line("~", "failed handshakes that are this client's or another's, and count for none; see --format json");
    if (any(has_unreadable))
        line("!", "a newer pgairlock saw what this one cannot weigh, so older good news do not count: use the newer");
    if (any([](const ReportClient& c) { return !c.known; }))
        line("(not known)", "only handshakes that failed, which name nobody");
    for (int i = 0; i < action_count; ++i) {
        const auto action = static_cast<Action>(i);
        if (report.summary.actions.contains(action)) line(std::string(to_string(action)), std::string(explain(action)));
    }
    return out;
}

}  // namespace

std::string to_table(const Report& report, const TableOptions& options) {
    std::string out = summary(report, options);
    if (!report.clients.empty()) out += "\n" + clients(report, options);
    if (!report.upstream_certificates.empty()) out += "\n" + certificates(report, options);
    if (!report.clients.empty()) out += "\n" + explanations(report);
    return out;
}

}  // namespace proxy::report
