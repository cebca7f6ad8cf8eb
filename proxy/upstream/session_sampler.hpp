// From lists of sessions that servers give again and again to who is there beside us: which of
// their sessions are ours, which are nobody's of ours, and which of them no look has counted yet.
//
// A claim that somebody goes around us is never made of a session that may be ours: one that began
// just before the look waits for the next one, and one that was ours stays so as long as it is
// there. No I/O, no clock.
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
    /// A session that is younger may be one whose server has not yet told us its process id.
    static constexpr std::chrono::seconds settling{2};
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
    /// It is not asked any more.
    void forget(const std::string& upstream, const std::string& address);

   private:
    using Key = std::pair<std::string, std::string>;          // upstream, address
    using SessionId = std::pair<std::int64_t, std::int64_t>;  // pid, and when it began
    enum class Whose { ours, others, undecided };
    struct Session {
        Whose whose = Whose::undecided;
        SampledKind kind;  // as it was counted last
        bool counted = false;
        bool is_young = false;  // and undecided for nothing but that
    };
    struct Known {
        std::int64_t server_started = 0;
        Time looked{};
        bool is_counted = false;  // the one of a server's addresses that is
        std::map<SessionId, Session> sessions;
    };

    bool is_another_address(const Key& key, std::int64_t server_started, Time too_old) const;
    std::set<std::string> addresses_of(std::int64_t server_started) const;
    static Whose whose(const protocol::ListedSession& session, const protocol::SessionList& list, const Session* before,
                       const std::set<std::string>& addresses, const SamplingUses& uses, bool is_alone, Time now);

    std::map<Key, Known> servers_;
};

}  // namespace proxy
