#include "proxy/report/report_layout.hpp"

#include <algorithm>
#include <set>

namespace proxy::report {
namespace {

constexpr const char* reset = "\x1b[0m";

/// "10.0….17" can still be told from others; where even that is too wide, "1…17" must do.
constexpr std::size_t usual_minimum = 8, least_minimum = 5;

/// East Asian wide characters and emoji take two columns, combining marks none. Close enough for
/// names.
std::size_t width_of(char32_t c) {
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

/// `text` is valid UTF-8.
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
        out.push_back({std::string(text.substr(0, length)), width_of(code)});
        text.remove_prefix(length);
    }
    return out;
}

/// At most `limit` columns: the middle becomes "…", because names differ at either end.
std::string shortened(const std::string& text, std::size_t limit) {
    if (columns_of(text) <= limit) return text;
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

std::set<std::string> texts(const Grid& grid, std::size_t column, std::size_t limit) {
    std::set<std::string> out;
    for (const auto& row : grid.rows) out.insert(shortened(row[column].text, limit));
    return out;
}

/// How narrow a column may become.
std::size_t minimum(const Grid& grid, std::size_t column, std::size_t width, std::size_t least) {
    least = std::max(least, columns_of(grid.columns[column].title));
    if (!grid.columns[column].distinct) return least;
    const std::size_t different = texts(grid, column, width).size();
    while (least < width && texts(grid, column, least).size() < different) ++least;
    return least;
}

/// Wide enough for everything.
std::vector<std::size_t> natural_widths(const Grid& grid) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < grid.columns.size(); ++i) {
        std::size_t width = columns_of(grid.columns[i].title);
        for (const auto& row : grid.rows) width = std::max(width, columns_of(row[i].text));
        out.push_back(width);
    }
    return out;
}

std::size_t line_width(const std::vector<std::size_t>& widths) {
    std::size_t total = 0;
    for (const std::size_t width : widths) total += width + 2;
    return total == 0 ? 0 : total - 2;
}

/// The widest column gives first.
std::vector<std::size_t> widths(const Grid& grid, std::size_t limit) {
    std::vector<std::size_t> out = natural_widths(grid);
    std::size_t total = line_width(out);
    if (limit == 0) return out;
    for (const std::size_t least : {usual_minimum, least_minimum}) {
        std::vector<std::size_t> minima;
        for (std::size_t i = 0; i < out.size(); ++i)
            minima.push_back(grid.columns[i].shrinks ? minimum(grid, i, out[i], least) : out[i]);
        while (total > limit) {
            std::size_t widest = out.size();
            for (std::size_t i = 0; i < out.size(); ++i) {
                if (out[i] > minima[i] && (widest == out.size() || out[i] > out[widest])) widest = i;
            }
            if (widest == out.size()) break;
            --out[widest];
            --total;
        }
    }
    return out;
}

std::string without_spaces_at_the_end(std::string line) {
    while (line.ends_with(' ')) line.pop_back();
    return line + "\n";
}

/// The titles above titles; a group whose titles are wider than their columns would push the others
/// away, so it is cut off. Empty: there are none.
std::string titles_above(const Grid& grid, const std::vector<std::size_t>& column_widths) {
    std::string line;
    std::size_t at = 0;
    std::size_t written = 0;
    std::string last;
    for (std::size_t i = 0; i < grid.columns.size(); ++i) {
        const std::string& above = grid.columns[i].above;
        if (!above.empty() && above != last) {
            line += std::string(at - written, ' ') + above;
            written = at + columns_of(above);
        }
        last = above;
        at = std::max(at + column_widths[i] + 2, written + 1);
    }
    return line;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
    std::size_t sum = 0;
    for (const Character& c : characters(text)) sum += c.width;
    return sum;
}

std::string coloured(std::string_view text, const char* colour, const Layout& layout) {
    if (!layout.colours || !colour) return std::string(text);
    const bool line = text.ends_with('\n');
    if (line) text.remove_suffix(1);
    return colour + std::string(text) + reset + (line ? "\n" : "");
}

std::string to_text(Grid grid, const Layout& layout) {
    if (layout.width > 0 && line_width(natural_widths(grid)) > layout.width) {
        for (Column& column : grid.columns) {
            if (!column.narrow.empty()) column.title = column.narrow;
        }
    }
    const std::vector<std::size_t> column_widths = widths(grid, layout.width);
    const auto line = [&](const std::vector<Cell>& cells) {
        std::string out;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const std::string text = shortened(cells[i].text, column_widths[i]);
            const std::string padding(column_widths[i] - columns_of(text), ' ');
            const std::string shown = coloured(text, cells[i].colour, layout);
            out += (i > 0 ? "  " : "") + (grid.columns[i].right ? padding + shown : shown + padding);
        }
        return without_spaces_at_the_end(std::move(out));
    };
    std::string out;
    if (const std::string above = titles_above(grid, column_widths); !above.empty())
        out += coloured(above, bold, layout) + "\n";
    std::vector<Cell> titles;
    for (const Column& column : grid.columns) titles.push_back({column.title, bold});
    out += line(titles);
    for (const auto& row : grid.rows) out += line(row);
    return out;
}

std::string paragraph(std::string_view text, std::size_t first, std::size_t indent, const Layout& layout) {
    std::string out;
    std::size_t at = first;
    for (bool fresh = true; !text.empty();) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t length = columns_of(word);
        if (!fresh && layout.width > 0 && at + 1 + length > layout.width) {
            out += "\n" + std::string(indent, ' ');
            at = indent;
            fresh = true;
        }
        out += (fresh ? "" : " ") + std::string(word);
        at += length + (fresh ? 0 : 1);
        fresh = false;
    }
    return out + "\n";
}

}  // namespace proxy::report
