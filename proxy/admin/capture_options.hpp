// The options of CAPTURE START as an order for Captures, and back. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/console_statement.hpp"
#include "proxy/capture/capture_order.hpp"

namespace proxy {

struct CaptureOption {
    std::string_view name;     ///< in lower case
    std::string_view value;    ///< what it looks like; empty: it takes none
    std::string_view meaning;  ///< a few words
    bool repeatable = false;   ///< each further one matches as well
    /// Empty: taken. Else what is wrong with the value, as the end of a sentence about it.
    std::string (*take)(const std::string& value, CaptureOrder& order) = nullptr;
};

/// As commands are written: of ASCII letters.
std::string in_upper_case(std::string_view text);

/// In the order in which they are shown.
std::span<const CaptureOption> capture_options() noexcept;

/// What a statement of the kind capture_start orders, without the stream of TO STDOUT and who asks;
/// or what is wrong with it.
std::variant<CaptureOrder, protocol::ErrorResponse> capture_order(const protocol::ConsoleStatement& start);

/// The options that give this order: "FOR '30m', USER 'app', PAYLOAD redacted".
std::string options_text(const CaptureOrder& order);

}  // namespace proxy
