#include "proxy/admin/console_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "config/keys.hpp"
#include "config/known_key.hpp"
#include "protocol/console_absent.hpp"
#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

using namespace std::string_view_literals;
using std::chrono::milliseconds;

constexpr std::string_view timeout_name = "statement_timeout";
constexpr std::int64_t largest_timeout = 2147483647;  // milliseconds, as PostgreSQL's

struct Unit {
    std::string_view text;
    std::int64_t milliseconds;
};
/// The largest first, as they are shown.
constexpr std::array time_units{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"min", 60'000}, Unit{"s", 1000},
                                Unit{"ms", 1}};

std::string_view without_blanks(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

/// "runtime.drain_timeout", or "drain_timeout" alone.
bool is_key_of_ours(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return !config::tables_of(name).empty();
    const auto tables = config::top_level_tables();
    const std::string_view table = name.substr(0, name.find('.'));
    return std::find(tables.begin(), tables.end(), table) != tables.end() &&
           !config::tables_of(name.substr(dot + 1)).empty();
}

/// Of "drain_timeout": ", in [runtime]".
std::string in_table(std::string_view name) {
    return name.find('.') == std::string_view::npos ? ", in " + config::tables_of(name) : std::string();
}

/// Whoever comes from PgBouncer's console takes a SET that is answered for one that counts. What is
/// PostgreSQL's, drivers say for themselves.
std::optional<protocol::ErrorResponse> refused(const std::string& name) {
    constexpr std::string_view of_both = "tcp_user_timeout";  // PostgreSQL's as well
    const std::string what = "SET changes nothing of the proxy's configuration: \"" + name + "\" is ";
    if (const auto instead = protocol::instead_of_setting(name); !instead.empty())
        return console_error("0A000", what + "PgBouncer's", std::string(instead));
    if (name != of_both && is_key_of_ours(name))
        return console_error("0A000", what + "a key of it",
                             "Change it in the file" + in_table(name) + ", which RELOAD reads anew.");
    return std::nullopt;
}

}  // namespace

std::optional<milliseconds> parse_timeout(std::string_view text) {
    text = without_blanks(text);
    std::int64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > largest_timeout) return std::nullopt;
    const std::string_view unit = without_blanks(text.substr(static_cast<std::size_t>(rest - text.data())));
    for (const Unit& known : time_units) {
        if (unit != known.text && !(unit.empty() && known.milliseconds == 1)) continue;
        if (number > largest_timeout / known.milliseconds) return std::nullopt;
        return milliseconds(number * known.milliseconds);
    }
    return std::nullopt;
}

std::string timeout_text(milliseconds timeout) {
    if (timeout.count() == 0) return "0";
    for (const Unit& unit : time_units) {
        if (timeout.count() % unit.milliseconds == 0)
            return std::to_string(timeout.count() / unit.milliseconds) + std::string(unit.text);
    }
    return {};
}

void ConsoleSettings::begin(const protocol::StartupMessage& startup) {
    std::optional<milliseconds> found = parse_timeout(startup.find(timeout_name));
    // "-c statement_timeout=5s", as PGOPTIONS has it; a blank within is more than anybody writes.
    const std::string_view options = startup.find("options");
    for (const std::string_view before : {"-c "sv, "-c"sv, "--"sv}) {
        const std::string prefix = std::string(before) + std::string(timeout_name) + "=";
        const auto at = options.rfind(prefix);
        if (at == std::string_view::npos) continue;
        const std::string_view value = options.substr(at + prefix.size());
        if (const auto given = parse_timeout(value.substr(0, value.find(' ')))) found = given;
    }
    at_begin_ = timeout_ = found.value_or(milliseconds(0));
}

std::optional<protocol::ErrorResponse> ConsoleSettings::apply(const protocol::ConsoleStatement& statement,
                                                              bool in_transaction) {
    for (const protocol::ConsoleOption& option : statement.options) {
        if (option.name == "all") timeout_ = at_begin_;
        if (auto wrong = refused(option.name)) return wrong;
        if (option.name != timeout_name) continue;
        const bool is_default = option.value == "default" || statement.text != "SET";
        const std::optional<milliseconds> value = is_default ? at_begin_ : parse_timeout(option.value);
        if (!value)
            return console_error(
                "22023", "invalid value for parameter \"" + std::string(timeout_name) + "\": \"" + option.value + "\"",
                "Valid units for this parameter are \"ms\", \"s\", \"min\", \"h\", and \"d\".", option.position);
        if (statement.id == 0) {
            timeout_ = *value;
            local_.reset();
        } else if (in_transaction) {
            local_ = *value;
        }
    }
    return std::nullopt;
}

}  // namespace proxy
