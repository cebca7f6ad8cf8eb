// From lists of sessions that servers give again and again to who is there beside us: which of
// their sessions are ours, which are nobody's of ours, and which of them no look has counted yet.
//
// A claim that somebody goes around us is never made of a session that may be ours: none is called
// so at the look that meets it first, since its login may be a moment old and its server may not
// have told us; and one that was ours stays so as long as it is there. No I/O, no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "protocol/session_list.hpp"
#include "proxy/observation/own_backends.hpp"
#include "proxy/observation/server_look.hpp"

namespace proxy {

/// How looks are taken, and who is told of them.
struct SamplingUses {
    /// nullptr: nobody goes through this process, and whoever is there is somebody else.
    const OwnBackends* ours = nullptr;
    /// False: sessions that are not ours may be of another process of this proxy (an upgrade).
    std::function<bool()> is_alone = [] { return true; };
    /// False: this one does not look.
    std::function<bool()> looks = [] { return true; };
    /// On the monitor's thread; waits for nothing. Empty: nobody wants to know.
    std::function<void(ServerLook look)> tell{};
    std::string database = "postgres";
    std::string application_name = "pgairlock monitor";
    protocol::Buffer password{};  ///< empty: the upstream's monitor_password_file's
};

/// All on one thread.
class SessionSampler {
   public:
    using Time = std::chrono::steady_clock::time_point;
    /// A session whose backend is younger counts from the next look on. If it is of others and gone
    /// by then, it is left out: its login may have been ours, and failed on the way.
    static constexpr std::chrono::seconds settling{2};
    /// A list is that much older at most than the moment at which we have it.
    static constexpr std::chrono::seconds late_answer{3};
    /// Of one look.
    static constexpr std::size_t max_kinds = 2'000;

    /// A server, as one upstream has it, and who asks it.
    struct Server {
        std::string upstream, address;
        std::string monitor_user;
        std::chrono::milliseconds interval{0};
    };
    /// The look is to be counted, and is `look` then. False: it is not. Of a server that has
    /// several addresses in one upstream, one is looked at; and the first look at any is for
    /// finding out which those are, where sessions may be ours.
    bool take(const Server& server, const protocol::SessionList& list, const SamplingUses& uses, Time now,
              ServerLook& look);
    /// Sessions of this role that call themselves pgairlock's are nobody's, at whatever server.
    void monitor(const std::string& user) { monitor_users_.insert(user); }
    /// It is not asked any more.
    void forget(const std::string& upstream, const std::string& address);

   private:
    using Key = std::pair<std::string, std::string>;          // upstream, address
    using SessionId = std::pair<std::int64_t, std::int64_t>;  // pid, and when it began
    using Addresses = std::set<std::string>;
    enum class Whose { ours, others, undecided };
    /// Undecided at the look that has met it, and so not counted.
    enum class Waits { no, young, grown };
    struct Session {
        Whose whose = Whose::undecided;
        SampledKind kind{};  // as it was at the last look
        std::string cipher{}, client_dn{};
        bool counted = false;
        Waits waits = Waits::no;
    };
    struct Known {
        std::int64_t server_started = 0;
        Time looked{};
        bool is_counted = false;  // the one of a server's addresses that is
        /// Another process of this proxy was there at the last look.
        bool was_beside = false;
        /// By the server's clock: what began until then may be that one's, as long as it is there.
        std::int64_t beside_until = -1;
        std::map<SessionId, Session> sessions;
    };

    bool is_another_address(const Key& key, std::int64_t server_started, Time too_old) const;
    Addresses addresses_of(std::int64_t server_started) const;
    bool is_of_monitor(const protocol::ListedSession& session) const;
    static bool is_ours(const SessionId& id, const protocol::SessionList& list, const Addresses& addresses,
                        const SamplingUses& uses, Time now);
    static Whose whose(const SessionId& id, const protocol::SessionList& list, const Session* before,
                       const Known& known, const Addresses& addresses, const SamplingUses& uses, Time now);
    static bool count(ServerLook& look, const Session& session, bool is_new, std::uint64_t seen);

    std::map<Key, Known> servers_;
    std::set<std::string> monitor_users_;  // as many as were ever configured
};

}  // namespace proxy
