#include "proxy/admin/capture_options.hpp"

#include <algorithm>
#include <array>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/spelling.hpp"
#include "protocol/capture_ring.hpp"
#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

using protocol::ConsoleOption;
using protocol::ErrorResponse;
using namespace std::string_view_literals;

/// As PostgreSQL reads a boolean.
constexpr std::array yes_words{""sv, "true"sv, "on"sv, "1"sv};
constexpr std::array no_words{"false"sv, "off"sv, "0"sv};

template <std::size_t n>
bool is_one_of(const std::string& value, const std::array<std::string_view, n>& words) {
    return std::find(words.begin(), words.end(), value) != words.end();
}

template <std::vector<std::string> CaptureFilter::*names>
std::string take_name(const std::string& value, CaptureOrder& order) {
    if (value.empty()) return "expected a name: leave the option out to mean all of them";
    (order.filter.*names).push_back(value);
    return {};
}

std::string take_client(const std::string& value, CaptureOrder& order) {
    const auto range = config::parse_cidr(value);
    if (!range) return "expected an address or a range ('10.0.0.0/8')";
    order.filter.client_addrs.push_back(*range);
    return {};
}

std::string take_duration(const std::string& value, CaptureOrder& order) {
    const auto duration = config::parse_duration(value);
    if (!duration || duration->count() <= 0) return "expected a duration ('30s', '30m', '2h')";
    order.lasts = *duration;
    return {};
}

std::string take_size(const std::string& value, CaptureOrder& order) {
    const auto size = config::parse_size(value);
    if (!size || *size == 0) return "expected a size ('64MiB', '1GiB')";
    if (*size < CaptureOrder::smallest_max_size)
        return "at least 64KiB: with less, what stands at the beginning of every file leaves no room for a session";
    order.max_size = *size;
    return {};
}

/// A word of the configuration's.
template <class Enum>
std::string take_choice(const std::string& value, Enum& into) {
    const std::span<const std::string_view> words = config::names<Enum>();
    const auto found = std::find(words.begin(), words.end(), value);
    if (found == words.end()) return config::not_one_of(value, words);
    into = static_cast<Enum>(found - words.begin());
    return {};
}

std::string take_payload(const std::string& value, CaptureOrder& order) { return take_choice(value, order.payload); }

std::string take_trigger(const std::string& value, CaptureOrder& order) {
    auto trigger = config::CaptureTrigger::all;
    std::string why = take_choice(value, trigger);
    order.failures_only = trigger == config::CaptureTrigger::failures;
    return why;
}

std::string take_keylog(const std::string& value, CaptureOrder& order) {
    if (!is_one_of(value, yes_words) && !is_one_of(value, no_words)) return "expected true or false";
    order.keylog = is_one_of(value, yes_words);
    return {};
}

constexpr std::array known_options{
    CaptureOption{"for", "'30m'", "how long; without it, until CAPTURE STOP", false, take_duration},
    CaptureOption{"payload", "headers | redacted | full", "what is left of queries and rows; redacted unless said",
                  false, take_payload},
    CaptureOption{"trigger", "all | failures", "failures: connections whose TLS or login failed", false, take_trigger},
    CaptureOption{"listener", "'name'", "only its clients", true, take_name<&CaptureFilter::listeners>},
    CaptureOption{"user", "'name'", "only this user", true, take_name<&CaptureFilter::users>},
    CaptureOption{"database", "'name'", "only this database", true, take_name<&CaptureFilter::databases>},
    CaptureOption{"application", "'name'", "only this application_name", true,
                  take_name<&CaptureFilter::application_names>},
    CaptureOption{"client", "'10.0.0.0/8'", "only clients of this address or range", true, take_client},
    CaptureOption{"max_size", "'1GiB'", "of all its files together; then it ends", false, take_size},
    CaptureOption{"keylog", "", "raw TLS records, and what decrypts them", false, take_keylog},
};

ErrorResponse unknown_option(const ConsoleOption& option) {
    std::vector<std::string_view> names;
    for (const CaptureOption& known : known_options) names.push_back(known.name);
    const auto meant = config::nearest(option.name, names);
    return console_error("42601",
                         "CAPTURE START has no option " + in_upper_case(option.name) +
                             (meant ? "; did you mean " + in_upper_case(*meant) + "?" : "") +
                             " (SHOW HELP lists the options)",
                         {}, option.position);
}

/// A name for a file of ours: it names no folder, and hides nothing.
bool is_file_name(std::string_view name) {
    constexpr std::size_t max_file_name = 200;  // NAME_MAX, with room for what the writer may append
    return !name.empty() && name.size() <= max_file_name && !name.starts_with('.') &&
           std::all_of(name.begin(), name.end(), [](char c) {
               const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
               return is_letter || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
           });
}

/// As CAPTURE START takes it.
std::string quoted_value(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
}

/// In the largest unit that leaves no rest.
template <class Number>
std::string in_units(Number value, std::span<const std::pair<Number, const char*>> units) {
    for (const auto& [factor, unit] : units) {
        if (value % factor == 0) return std::to_string(value / factor) + unit;
    }
    return {};
}

std::string duration_text(std::chrono::milliseconds duration) {
    using Count = std::chrono::milliseconds::rep;
    constexpr std::pair<Count, const char*> units[]{{3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}};
    return in_units<Count>(duration.count(), units);
}

std::string size_text(std::uint64_t size) {
    constexpr std::pair<std::uint64_t, const char*> units[]{
        {1U << 30U, "GiB"}, {1U << 20U, "MiB"}, {1U << 10U, "KiB"}, {1, "B"}};
    return in_units<std::uint64_t>(size, units);
}

}  // namespace

std::string in_upper_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

std::span<const CaptureOption> capture_options() noexcept { return known_options; }

std::variant<CaptureOrder, ErrorResponse> capture_order(const protocol::ConsoleStatement& start) {
    CaptureOrder order;
    std::vector<std::string_view> given;
    for (const ConsoleOption& option : start.options) {
        const auto known = std::find_if(known_options.begin(), known_options.end(),
                                        [&](const CaptureOption& one) { return one.name == option.name; });
        if (known == known_options.end()) return unknown_option(option);
        if (!known->repeatable && std::find(given.begin(), given.end(), known->name) != given.end())
            return console_error("42601", "conflicting or redundant options: " + in_upper_case(option.name), {},
                                 option.position);
        given.push_back(known->name);
        if (const std::string why = known->take(option.value, order); !why.empty())
            return console_error("22023", in_upper_case(option.name) + ": " + why, {}, option.position);
    }
    if (start.to == protocol::ConsoleStatement::To::file) {
        if (!is_file_name(start.text)) {
            return console_error(
                "22023",
                "TO takes a name without a folder, of letters, digits, '-', '_' and '.', for a file in "
                "capture.dir; pgairlock capture start --write FILE writes anywhere",
                {}, start.position);
        }
        // They come and go as the ring wants it.
        if (protocol::ring_file(start.text))
            return console_error(
                "22023", "capture-START-N.pcapng are the names of files that a ring removes: choose another one", {},
                start.position);
        order.file = start.text;
    }
    return order;
}

std::string options_text(const CaptureOrder& order) {
    std::string text;
    const auto add = [&](std::string_view option, const std::string& value) {
        text += (text.empty() ? "" : ", ") + std::string(option) + (value.empty() ? "" : " ") + value;
    };
    const auto add_names = [&](std::string_view option, const std::vector<std::string>& names) {
        for (const std::string& name : names) add(option, quoted_value(name));
    };
    if (order.lasts) add("FOR", quoted_value(duration_text(*order.lasts)));
    add("PAYLOAD", std::string(config::names<protocol::Payload>()[static_cast<std::size_t>(order.payload)]));
    if (order.failures_only) add("TRIGGER", "failures");
    add_names("LISTENER", order.filter.listeners);
    add_names("USER", order.filter.users);
    add_names("DATABASE", order.filter.databases);
    add_names("APPLICATION", order.filter.application_names);
    for (const config::Cidr& range : order.filter.client_addrs) add("CLIENT", quoted_value(config::to_string(range)));
    if (order.max_size) add("MAX_SIZE", quoted_value(size_text(*order.max_size)));
    if (order.keylog) add("KEYLOG", "");
    return text;
}

}  // namespace proxy
