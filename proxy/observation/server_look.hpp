// What one look at a server's own list of its sessions showed: who is there, and whether it came
// through us. Rows are already added up, so that a look is small however many sessions there are.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>

namespace proxy {

/// Sessions that nothing tells apart but their number.
struct SampledKind {
    std::string client_addr;  ///< as the server sees it; "local": by its UNIX-domain socket
    std::string usename, datname, application_name;
    std::string version;   ///< of TLS; empty: in clear
    bool through = false;  ///< by this proxy
    auto operator<=>(const SampledKind&) const = default;
};

struct SampledCount {
    std::uint64_t sessions = 0;  ///< that no look before this one has counted
    std::uint64_t seen = 0;
    std::string cipher{}, client_dn{};  ///< of one of them
};

struct ServerLook {
    std::string upstream, upstream_addr;
    std::chrono::system_clock::time_point time{};
    std::string failure{};  ///< why nothing was seen; empty: it was
    bool hidden = false;    ///< others' addresses and TLS were not shown
    std::uint64_t left_out = 0;
    std::chrono::microseconds interval{0};
    bool proxying = true;  ///< false: nobody goes through us
    /// By its own clock, in microseconds since 1970: tells it from every other. 0: not known.
    std::int64_t server_started = 0;
    std::map<SampledKind, SampledCount> sessions{};
};

}  // namespace proxy
