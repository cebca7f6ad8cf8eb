// What events say in numbers, by listener and upstream of the configuration. Counted where an event
// is recorded; nothing here is written or sent.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/metrics/histogram.hpp"
#include "proxy/metrics/tls_alerts.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

struct ListenerNumbers {
    std::array<std::array<std::uint64_t, 3>, 2> connections{};  ///< by ssl and by protocol::Verifies
    std::int64_t open = 0;                                      ///< logged in, and not over
    std::array<std::uint64_t, tls_alerts.size()> tls_failures{};
    std::array<std::uint64_t, reasons> rejections{};
    std::array<std::uint64_t, reasons> login_failures{};
    Histogram login;

    void add(const ListenerNumbers& other);
};

/// One address of an upstream.
struct AddressNumbers {
    using Time = std::chrono::system_clock::time_point;

    Time served{};          ///< when it served a login last
    bool verified = false;  ///< its certificate was, then
    Time not_after{};       ///< of its certificate; the epoch: it showed none
    std::string version{};  ///< of TLS; empty: it served in clear
    std::string cipher{};
    std::string anchor{};  ///< subject of the root that it was verified by
    std::shared_ptr<const tls::CertificateFacts> leaf{};
    std::optional<bool> candidate_ok{};
    protocol::HostRole role = protocol::HostRole::unknown;  ///< unknown: it does not report one, or nobody got so far
    Time role_seen{};  ///< when a login last got so far, whatever it was told; the epoch: none did

    void forget_old_role(Time now) noexcept;
};

struct UpstreamNumbers {
    /// Addresses come and go with what names resolve to: so many are kept, for so long.
    static constexpr std::size_t max_addresses = 64;
    static constexpr std::chrono::hours address_memory{1};

    enum Found : std::uint8_t { verified, unverified, clear };

    std::array<std::uint64_t, 3> found{};  ///< by Found
    std::array<std::uint64_t, reasons> failures{};
    AddressNumbers::Time failed{};  ///< when a login last found no server that it could use; the epoch: none did
    std::string failure{};          ///< why
    std::array<std::uint64_t, ca_changes> certificates{};  ///< by CaChange: that were not known before
    std::map<std::string, AddressNumbers> addresses;       ///< "10.0.0.1:5432"

    void add(const UpstreamNumbers& other);
};

class EventMetrics {
   public:
    /// What came to nothing, when and why.
    struct LastFailure {
        AddressNumbers::Time time{};  ///< the epoch: nothing did
        std::string error{};
    };

    struct Numbers {
        std::map<std::string, ListenerNumbers> listeners;
        std::map<std::string, UpstreamNumbers> upstreams;
        Histogram client_handshakes, server_handshakes;
        std::uint64_t capture_bytes = 0, capture_dropped = 0;  ///< of captures that are over
        LastFailure reload;                                    ///< the last that failed, be it mended since
    };

    /// These are told from now on, also before anything has happened there.
    void serve(const std::vector<std::string>& listeners, const std::vector<std::string>& upstreams);
    /// From any thread. Threads seldom meet: each has a part of its own. Without memory for a name
    /// that is new, the event is not counted here.
    void count(const Event& event) noexcept;

    /// From any thread. Waits for no more than one event's count.
    Numbers numbers() const;
    /// What is known of each address of this upstream ("10.0.0.1:5432") that served within
    /// address_memory. From any thread; waits for no more than one event's count.
    std::map<std::string, AddressNumbers> addresses(const std::string& upstream) const;
    /// When a server of this upstream served last; `verified`: one whose certificate was. nullopt:
    /// not within address_memory.
    std::optional<AddressNumbers::Time> last_served(const std::string& upstream, bool verified) const;
    /// When a login of this upstream found no server last, and why. nullopt: none did since the
    /// start.
    std::optional<LastFailure> last_failure(const std::string& upstream) const;
    bool last_reload_succeeded() const noexcept { return last_reload_succeeded_; }

   private:
    /// More than most machines have threads that serve; two on one part only wait for each other.
    static constexpr std::size_t parts = 32;

    struct alignas(64) Part {
        mutable std::mutex mutex;
        Numbers numbers;
    };

    Part& own_part() noexcept;

    std::array<Part, parts> parts_;
    std::atomic<bool> last_reload_succeeded_{true};
};

}  // namespace proxy
