// Text for a terminal: tables whose columns are as wide as they must be and as narrow as the
// terminal wants them, and paragraphs. Knows nothing of reports.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace proxy::report {

inline constexpr const char* red = "\x1b[31m";
inline constexpr const char* yellow = "\x1b[33m";
inline constexpr const char* green = "\x1b[32m";
inline constexpr const char* bold = "\x1b[1m";
inline constexpr const char* dim = "\x1b[2m";

struct Cell {
    std::string text;              ///< harmless (printable())
    const char* colour = nullptr;  ///< one of the above
};

struct Column {
    std::string title;
    std::string narrow{};  ///< instead of the title where not all would fit
    std::string above{};   ///< a title over this column and those next to it with the same
    bool right = false;
    bool shrinks = false;   ///< cut in the middle where the line is too long
    bool distinct = false;  ///< never so short that two of its texts look alike
};

/// Columns are added one by one; each row has a cell for each.
struct Grid {
    std::vector<Column> columns{};
    std::vector<std::vector<Cell>> rows{};
};

struct Layout {
    bool colours = false;
    std::size_t width = 0;  ///< 0: without a limit
};

/// Columns on a terminal.
std::size_t columns_of(std::string_view text);

/// `text` in `colour`, where there are colours.
std::string coloured(std::string_view text, const char* colour, const Layout& layout);

/// Lines with titles; longer than the limit only when no column can shrink any more.
std::string to_text(Grid grid, const Layout& layout);

/// `text` after `first` columns that are already written; goes on `indent` columns to the right.
/// Ends with a new line.
std::string paragraph(std::string_view text, std::size_t first, std::size_t indent, const Layout& layout);

}  // namespace proxy::report
