// Which hosts are primaries and which are standbys, as far as anybody has told: every login is told
// by its server, a monitor asks. One table for the process, and the only place where this is known.
// What is in it may be out of date by the time it is read: it says where to go first, and never
// replaces the look at a session's own server (Session).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "protocol/host_role.hpp"

namespace proxy {

/// Who told of a role, or made it doubtful.
enum class RoleSource {
    login,        // what the server reports to every client
    monitor,      // it was asked
    certificate,  // another one is shown where this was: another server may stand there
    ending,       // its sessions ended as when a server goes away
};

/// "login", "monitor", "certificate", "ending".
std::string_view to_string(RoleSource source) noexcept;

/// From any thread.
class HostRoles {
   public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// For how long a role that is not wanted is taken for certain. After that one login, or one
    /// monitor, looks again, and for as long others see it as it was.
    static constexpr std::chrono::milliseconds certain{250};
    /// What nobody has told of for so long is not known any more.
    static constexpr std::chrono::hours memory{1};
    /// The same of what a login's own settings are: nobody tells when they are changed.
    static constexpr std::chrono::seconds login_memory{30};
    /// Of each kind; what was told of first makes room.
    static constexpr std::size_t max_remembered = 1000;

    struct Server {
        std::string upstream;
        std::string host;     ///< as configured, "db.internal:5432"; may be the address
        std::string address;  ///< "10.0.0.1:5432"
    };
    /// As whom a session logs in: `default_transaction_read_only` may be set for either.
    struct Login {
        std::string user;
        std::string database;
    };
    struct Known {
        protocol::HostRole role = protocol::HostRole::unknown;
        bool doubtful = false;  ///< it may be another one by now
        RoleSource source = RoleSource::login;
        std::chrono::system_clock::time_point since{};  ///< when it was first seen in this role
        std::chrono::system_clock::time_point seen{};   ///< and when last; the epoch: never
    };
    struct Change {
        Server server;
        protocol::HostRole before{};
        protocol::HostRole now{};
        bool doubtful = false;  ///< what was known is not certain any more: `before` and `now` are the same
        RoleSource source{};
    };

    /// It is in this role. `unknown`: it was asked and reports none, which changes nothing that is
    /// known from elsewhere. A standby that has become a primary makes other primaries of its
    /// upstream doubtful.
    void learn(const Server& server, protocol::HostRole role, RoleSource source, TimePoint now);
    /// Whether sessions of this user in this database are read-only there, whatever the role.
    void learn_read_only(const Server& server, const Login& login, bool read_only, TimePoint now);
    /// Whoever needs to know looks again, from now on. `host` may be empty.
    void doubt(const Server& server, RoleSource why);
    /// The subject of the certificate that was shown. Another one than before is a doubt: about the
    /// address, or, where a name leads to another server now, about where it led before.
    void shown(const Server& server, const std::string& subject);

    /// `key`: an address, or a host as configured, where its last connection led.
    Known of(const std::string& upstream, const std::string& key) const;
    std::optional<bool> read_only(const std::string& upstream, const std::string& address, const Login& login,
                                  TimePoint now) const;
    /// Of a server that is known not to be what is wanted. True for the one caller that is to look
    /// again, once that is not certain any more.
    bool may_ask(const std::string& upstream, const std::string& address, TimePoint now);
    /// Every address of an upstream of which something was told.
    std::map<std::string, Known> addresses(const std::string& upstream) const;

    /// All that is known, for another process: of addresses, and then of hosts, with where each led
    /// last.
    std::vector<std::pair<Server, Known>> all() const;

    /// As long as it lives; its end waits for a call that is under way.
    using Subscription = std::shared_ptr<const void>;
    /// `told` is called for every change, on whatever thread: it must be short, and must not end
    /// its own subscription.
    Subscription subscribe(std::function<void(const Change&)> told);

   private:
    using Key = std::pair<std::string, std::string>;                                  // upstream, address or host
    using LoginKey = std::tuple<std::string, std::string, std::string, std::string>;  // upstream, address, login
    struct Entry {
        Server server;
        Known known;
        TimePoint learnt{};
        TimePoint asked{};  // when somebody last learnt it, or set out to
        std::string subject{};
    };
    struct ReadOnly {
        bool value = false;
        TimePoint learnt{};
    };
    struct Subscriber;

    std::optional<Change> note(Entry& entry, protocol::HostRole role, RoleSource source, TimePoint now);
    void make_room();
    void tell(const std::vector<Change>& changes);

    mutable std::mutex mutex_;
    std::map<Key, Entry> addresses_;
    std::map<Key, Entry> hosts_;
    std::map<LoginKey, ReadOnly> read_only_;
    std::mutex telling_;
    std::vector<std::weak_ptr<Subscriber>> subscribers_;  // under telling_
};

}  // namespace proxy
