// Remembers for a few seconds who failed with TLS and who was turned away, so that the next
// connection of the same client can be recognised as its fallback (libpq's sslmode=prefer retrying
// in clear, say; docs/verification.md).
//
// Nobody answers for another: what happened at an address counts against a client only when it may
// have been that client. Known processes that differ never are; one that is not known may be any.
// Processes are found some milliseconds after accept, and the end of a handshake may be read on
// another thread only after the clear text that it led to. So a StartupMessage in clear takes note
// of who came before it (before()), and is judged when its own login is over (judge()).
//
// Cold path: a few look-ups per connection under one mutex. Bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/observation/client_identity.hpp"
#include "proxy/observation/process_owner.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

/// What came of a connection on which TLS was begun.
enum class TlsEnd {
    none,     // nothing yet
    success,  // a login, a cancel request, or an end of which the client is not the cause
    failure,  // it came to no login
    refusal,  // the client left because of the certificate, or may have
    denial,   // its login was refused, by the server or by us
};

class RecentClients {
   public:
    using Time = std::chrono::steady_clock::time_point;
    using Process = std::shared_ptr<const ProcessOwner>;  ///< nullptr: not of this host, or not known

    /// One client that asked for TLS.
    struct Attempt {
        const std::string address;
        const Process process;
        const Time began;
        bool declined = false;  ///< it was told that there is none
        bool noted = false;     ///< it found room
        TlsEnd end = TlsEnd::none;
        Time ended{};
        std::optional<Caller> caller{};  ///< once it sent its StartupMessage
        std::string certificate{};       ///< refusal: of what; empty: of a probe
    };
    using AttemptPtr = std::shared_ptr<Attempt>;

    /// A client at `address` begins TLS. tls_ended() is due for it, and may be called again when it
    /// was a denial.
    AttemptPtr tls_began(const std::string& address, Process process, Time now);
    /// With `caller` and `certificate` as far as they are known.
    struct Ending {
        TlsEnd end{};
        std::optional<Caller> caller{};
        std::string certificate{};
    };
    void tls_ended(const AttemptPtr& attempt, Ending ending, Time now);
    /// It asked for TLS and was told that there is none.
    void tls_declined(const std::string& address, Process process, Time now);
    /// Because this listener takes nobody without TLS.
    void rejected_in_clear(const Caller& caller, Process process, Time now);

    /// A client that sends its StartupMessage, and when.
    struct Arrival {
        Caller caller;
        Process process;
        Time time{};
    };
    /// Those at an address who asked for TLS before a moment, and had not come to a login by then.
    struct Suspects {
        std::vector<std::shared_ptr<const Attempt>> attempts{};
        bool unnoted = false;  ///< there were more than could be noted: any client may be one of them
    };
    Suspects before(const std::string& address, Time now) const;

    /// What a client in clear was just before, the strongest that holds: it came again after our
    /// 'N', it may have failed with TLS, it refused our certificate, it was denied its login.
    enum class Before { nothing, declined, perhaps_failed, refused, denied };
    struct Judgement {
        Before before = Before::nothing;
        /// Ours, which it refused, or which somebody did that it may be: not one whose names came
        /// through TLS within the same seconds. Empty: none.
        std::string certificate{};
    };
    /// The attempts that have failed by now. To be asked when the client's login is over.
    Judgement judge(const Suspects& suspects, const Arrival& arrival) const;
    /// What judge() says may yet change.
    bool is_open(const Suspects& suspects, const Arrival& arrival) const;

    /// The process that was rejected, when that caller was within 2 s; nullopt: it was not.
    std::optional<Process> was_rejected_in_clear(const Caller& caller, Time now) const;

    /// True once for each of the last max_fallbacks.
    static constexpr std::size_t max_fallbacks = 10'000;
    bool is_first_fallback(const ClientOrigin& source);

   private:
    /// Of one address.
    struct Address {
        std::deque<AttemptPtr> attempts;
        Time unnoted_until{};
    };
    struct Rejected {
        Process process;
        Time time{};
    };

    void note(const AttemptPtr& attempt, Time now);
    void forget(const AttemptPtr& attempt);
    void make_room(Time now);

    mutable std::mutex mutex_;
    std::map<std::string, Address> addresses_;
    std::size_t noted_ = 0;  // attempts in `addresses_`
    Time unnoted_until_{};   // in a flood of addresses
    Time next_sweep_{};
    std::map<Caller, Rejected> rejected_in_clear_;
    tls::RecentlyUsed<ClientOrigin, bool> fell_back_{max_fallbacks};  // the value says nothing
};

/// Whether two connections are of one process.
enum class SameProcess { no, perhaps, yes };
SameProcess same_process(const RecentClients::Process& one, const RecentClients::Process& other);

}  // namespace proxy
