// What the console's statements do, and what they are answered with. Slow where captures are: files
// are made.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/console_statement.hpp"
#include "proxy/admin/console_parameters.hpp"
#include "proxy/admin/console_peer.hpp"
#include "proxy/admin/console_results.hpp"
#include "proxy/capture/captures.hpp"

namespace proxy {

/// Captures, as the console commands them: from any thread, and as long as a command may take.
struct CaptureControl {
    std::function<std::variant<CaptureStatus, CaptureRefused>(CaptureOrder order, OwnedDescriptor client)> start;
    std::function<bool(std::uint64_t id, const std::string& by)> stop;
    std::function<std::vector<CaptureStatus>()> status;
};

/// 42501 for what only those may who command; nullopt: go on.
std::optional<protocol::ErrorResponse> forbidden(const protocol::ConsoleStatement& statement,
                                                 const ConsoleAsker& asker);

/// What parse_console() found wrong, with the command that was probably meant: "RELAOD" -> RELOAD,
/// "clients" -> SHOW CLIENTS.
protocol::ErrorResponse with_guess(protocol::ErrorResponse wrong, std::string_view query);

/// Of statements that are no transaction's.
struct ConsoleAnswer {
    protocol::Buffer messages;  ///< to CommandComplete, or an ErrorResponse
    bool failed = false;
    std::shared_ptr<ResultShare> share{};  ///< lives as long as `messages` do; nullptr: of what is small
};
ConsoleAnswer answer(const protocol::ConsoleStatement& statement, const ConsoleAsker& asker,
                     const CaptureControl& captures);

/// `client`: its socket, for CAPTURE START ... TO STDOUT; else none.
std::variant<CaptureStatus, protocol::ErrorResponse> start_capture(const protocol::ConsoleStatement& start,
                                                                   const ConsoleAsker& asker,
                                                                   const CaptureControl& captures,
                                                                   OwnedDescriptor client = {});
/// As a NoticeResponse: what `start` leaves out although its client may not expect it. Nothing is
/// appended when there is none, or the statement is wrong.
void append_warning(protocol::Buffer& out, const protocol::ConsoleStatement& start);

}  // namespace proxy
