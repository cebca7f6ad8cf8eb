// What the processes of an upgrade ask each other while they overlap, as lines of text. Pure.
//
// Whoever took over connects to the private socket of the one before and asks one thing: "cancel",
// "follow", "reopen" or "drain". What follows grows at its end only: versions differ.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/host_role.hpp"
#include "protocol/startup.hpp"
#include "proxy/observation/address_group.hpp"

namespace proxy {

/// Where the process of that number is asked.
std::string private_path(const std::string& state_dir, pid_t pid);

/// Metrics by whose they are: several, where processes before that one have ended since.
using CountedByRun = std::vector<std::pair<std::string, std::string>>;

/// A CancelRequest that may be for a session of a former process.
struct CancelQuestion {
    protocol::CancelRequest request;
    AddressGroup from{};   ///< who asks
    bool limited = false;  ///< after too many misses: obeyed where nobody guesses
};
std::string to_text(const CancelQuestion& question);  ///< a line
std::optional<CancelQuestion> parse_cancel(std::string_view line);

/// What became of it.
struct CancelOutcome {
    bool matched = false;
    std::string address;  ///< of the server; empty: unknown
    std::string error;    ///< why it was not delivered; empty: it was
};
std::string to_text(const CancelOutcome& outcome);  ///< a line
std::optional<CancelOutcome> parse_outcome(std::string_view line);

/// What is present in another process: for limits that count all of them.
struct Elsewhere {
    unsigned served = 0;
    std::map<AddressGroup, unsigned> per_address;
    std::map<std::string, unsigned> logins;  ///< by listener, user and database: keys of LoginCounts

    bool operator==(const Elsewhere&) const = default;
};
std::string to_text(const Elsewhere& counts);  ///< lines
std::optional<Elsewhere> parse_elsewhere(std::string_view lines);

/// What was known of a server when its process let go.
struct InheritedRole {
    std::string upstream;
    std::string host;     ///< as configured
    std::string address;  ///< where it led
    protocol::HostRole role{};
};
/// Lines, in texts of at most `max_text` bytes. One that cannot be a line is left out.
std::vector<std::string> to_texts(const std::vector<InheritedRole>& roles, std::size_t max_text);
std::vector<InheritedRole> parse_roles(std::string_view lines);  ///< without lines that are none

/// One frame of "follow": "counts N" or "metrics N RUN", then N bytes.
struct FrameHeader {
    std::string_view kind;
    std::size_t size = 0;
    std::string_view run;  ///< of metrics: whose they are
};
std::string frame(std::string_view kind, std::string_view body, std::string_view run = {});
std::optional<FrameHeader> parse_frame_header(std::string_view line);

}  // namespace proxy
