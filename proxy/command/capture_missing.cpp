#include "proxy/command/capture_missing.hpp"

#include <initializer_list>

namespace proxy::command {
namespace {

struct Counted {
    const char* column;
    const char* one;
    const char* many;
    const char* fate;
};

constexpr std::initializer_list<Counted> all_counted{
    {"dropped", "packet", "packets", "dropped"},
    {"left_out", "session", "sessions", "left out"},
    {"not_entered", "session", "sessions", "not entered"},
    {"entries_dropped", "audit event", "audit events", "dropped"},
    {"files_removed", "older file", "older files", "removed"},
};

}  // namespace

std::string missing_text(const ConsoleTable& captures, std::size_t row) {
    if (captures.value(row, "id").empty()) return {};
    std::string text;
    for (const Counted& counted : all_counted) {
        const std::string number = captures.value(row, counted.column);
        if (number == "0") continue;
        text += (text.empty() ? "" : ", ") + (number.empty() ? "an unknown number of" : number) + " " +
                (number == "1" ? counted.one : counted.many) + " " + counted.fate;
    }
    return text.empty() ? "nothing known" : text;
}

}  // namespace proxy::command
