#include "config/usage/roff.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace usage {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '\\': out += "\\e"; break;
            case '-': out += "\\-"; break;
            case '\'': out += "\\(aq"; break;
            case '`': out += "\\(ga"; break;
            case '^': out += "\\(ha"; break;
            case '~': out += "\\(ti"; break;
            default: out += c;
        }
    }
    return out;
}

/// A dot is an order to groff only where a line begins, whatever its font.
std::string guarded(std::string text) {
    return text.starts_with('.') || text.starts_with("\\fB.") ? "\\&" + text : text;
}

/// What stands between `open`, at the beginning of `text`, and the next `close`; both are taken
/// away. Empty: there is no such thing, and `text` stays.
std::string_view take_between(std::string_view& text, std::string_view open, std::string_view close) {
    if (!text.starts_with(open)) return {};
    const std::size_t end = text.find(close, open.size());
    if (end == std::string_view::npos) return {};
    const std::string_view inner = text.substr(open.size(), end - open.size());
    text.remove_prefix(end + close.size());
    return inner;
}

std::string spans(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (const auto code = take_between(text, "`", "`"); !code.empty()) {
            out += "\\fB" + escaped(code) + "\\fR";
        } else if (const auto bold = take_between(text, "**", "**"); !bold.empty()) {
            out += "\\fB" + spans(bold) + "\\fR";
        } else if (text.starts_with('[') && text.find("](") < text.find(']') + 1) {
            const auto words = take_between(text, "[", "](");
            const std::size_t end = std::min(text.find(')'), text.size());
            const std::string_view target = text.substr(0, end);
            out += spans(words);
            if (target.starts_with("http")) out += " (" + escaped(target) + ")";
            text.remove_prefix(std::min(end + 1, text.size()));
        } else {
            out += escaped(text.substr(0, 1));
            text.remove_prefix(1);
        }
    }
    return out;
}

std::string_view without_indent(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
}

}  // namespace

std::string roff(std::string_view text) { return guarded(escaped(text)); }

std::string roff_title(std::string_view name, unsigned section, std::string_view version) {
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
    // No date: the same sources make the same page.
    return ".TH \"" + escaped(upper) + "\" \"" + std::to_string(section) + "\" \"\" \"pgairlock " +
           std::string(version) + "\" \"pgairlock\"\n";
}

std::string roff_text(std::string_view text) {
    std::string out;
    bool is_example = false;
    bool is_new = true;
    for (const std::string_view line : lines_of(text)) {
        const bool is_indented = line.starts_with("  ");
        if (is_example && !is_indented) out += ".EE\n";
        if (line.empty()) is_new = true;
        if (!line.empty() && !is_indented && is_new) out += ".PP\n";
        if (!is_example && is_indented) out += std::string(is_new ? ".PP\n" : "") + ".EX\n";
        is_example = is_indented;
        if (line.empty()) continue;
        out += roff(line) + "\n";
        is_new = false;
    }
    return out + (is_example ? ".EE\n" : "");
}

std::string roff_of_markdown(std::string_view text) {
    std::string out;
    bool is_code = false;
    for (const std::string_view line : lines_of(text)) {
        if (line.starts_with("```")) {
            out += is_code ? ".EE\n" : ".PP\n.EX\n";
            is_code = !is_code;
        } else if (is_code) {
            out += roff(line) + "\n";
        } else if (line.empty()) {
            out += ".PP\n";
        } else if (line.starts_with("- ")) {
            out += ".IP \\(bu 2\n" + guarded(spans(line.substr(2))) + "\n";
        } else if (!line.starts_with("# ") && !line.starts_with("<!--")) {
            out += guarded(spans(without_indent(line))) + "\n";
        }
    }
    return out;
}

}  // namespace usage
