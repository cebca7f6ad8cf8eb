// Which hosts are primaries and which are standbys, as far as anybody has told: every login is told
// by its server, a monitor asks. One table for the process, and the only place where this is known.
// What is in it may be out of date by the time it is read: it says where to go first, and never
// replaces the look at a session's own server (Session).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
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
    outage,       // it was not reached, or did not answer
};

/// "login", "monitor", "certificate", "ending", "outage".
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
    /// After so many looks in vain at an address, one after the other, sources whose logins have
    /// told a role lately come before those that nothing is known of, which may have no password:
    /// of all of these together one looks in so long a time.
    static constexpr int vain_looks = 3;
    static constexpr std::chrono::seconds strangers_interval{3};
    /// For how long, and how many; whose last login is the longest ago makes room.
    static constexpr std::chrono::hours trust{1};
    static constexpr std::size_t max_trusted = 256;
    /// A stranger that looks in vain is passed over for twice as long each time, up to this.
    static constexpr std::chrono::seconds longest_passing_over{60};

    struct Server {
        std::string upstream;
        std::string host;     ///< as configured, "db.internal:5432"; may be the address
        std::string address;  ///< "10.0.0.1:5432"
    };
    /// Whether a login looks for itself what a server is that was of another kind than is wanted.
    enum class Looks : std::uint8_t {
        first,  // if it still is, the login is repeated elsewhere
        last,   // it would be lost there, and waits: where nobody else was told for a while
        never,  // it would be lost there, and has not waited yet
    };
    /// As whom a session logs in: `default_transaction_read_only` may be set for either.
    struct Login {
        std::string user;
        std::string database;
        bool may_choose_read_only = false;  ///< itself: of what it is nothing is learnt, and nothing known
        Looks looks = Looks::first;
        std::string source{};  ///< its address, as limits count it
    };
    class Look;
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
    /// known from elsewhere. One that was no primary, or not known as one, makes other primaries of
    /// its upstream doubtful until they are seen again; and another role of the same address in
    /// other upstreams is doubtful.
    void learn(const Server& server, protocol::HostRole role, RoleSource source, TimePoint now);
    /// Whether sessions of this user in this database are read-only there, whatever the role.
    void learn_read_only(const Server& server, const Login& login, bool read_only, TimePoint now);
    /// Whoever needs to know looks again, from now on. Of an address, for all upstreams that have
    /// it; the rest of `server` may be empty.
    void doubt(const Server& server, RoleSource why);
    /// The subject of the certificate that was shown. Another one than before is a doubt: about the
    /// address, or, where a name leads to another server now, about where it led before.
    void shown(const Server& server, const std::string& subject);

    /// `key`: an address, or a host as configured, where its last connection led.
    Known of(const std::string& upstream, const std::string& key) const;
    std::optional<bool> read_only(const std::string& upstream, const std::string& address, const Login& login,
                                  TimePoint now) const;
    /// Of a server that is not known to be what is wanted. A value for the one caller that is to
    /// look again, once that is not certain any more. Anybody may come who will never learn it, and
    /// keep it from others: whoever ends its look without having learnt a role, or keeps it for
    /// longer than `certain`, leaves the next one to other sources, for as long as it had it, or,
    /// as a stranger, for longer.
    /// `since`: whoever was told a role within that time has looked for this one, too.
    std::optional<Look> look(const std::string& upstream, const std::string& address, const std::string& source,
                             TimePoint now, std::chrono::milliseconds since = {});
    /// A login from there was let in by a server of this upstream, which told its role: the source
    /// is no stranger.
    void trust_source(const std::string& upstream, const std::string& source, TimePoint now);
    /// The last time that an address of this upstream became certain to be in this role: it was in
    /// another one before, or in doubt. The epoch: none is.
    std::chrono::system_clock::time_point certain_since(const std::string& upstream, protocol::HostRole role) const;
    /// Every address of an upstream of which something was told.
    std::map<std::string, Known> addresses(const std::string& upstream) const;

    /// All that is known, for another process: of addresses, and then of hosts, with where each led
    /// last.
    std::vector<std::pair<Server, Known>> all() const;

    /// As long as it lives; its end waits for a call that is under way.
    using Subscription = std::shared_ptr<const void>;
    /// `told` is called for every change, on whatever thread: it must be short, and must not end
    /// its own subscription. Where it finds no memory, this one does not hear of that change, and
    /// everybody else goes on.
    Subscription subscribe(std::function<void(const Change&)> told);

   private:
    using Key = std::pair<std::string, std::string>;                                  // upstream, address or host
    using LoginKey = std::tuple<std::string, std::string, std::string, std::string>;  // upstream, address, login
    struct PassedOver {
        TimePoint until{};
        TimePoint::duration time{};
    };
    struct Entry {
        Server server;
        Known known;
        TimePoint learnt{};
        std::uint64_t looks = 0;  // the last one's number
        bool looking = false;     // it has neither learnt anything yet nor ended
        std::string looker{};
        std::map<std::string, PassedOver> passed_over{};  // sources that have looked in vain
        int vain = 0;                                     // looks, one after the other
        TimePoint stranger_looked{};
        TimePoint asked{};  // when somebody last learnt it, or set out to
        std::string subject{};
        std::chrono::system_clock::time_point certain_since{};
    };
    struct ReadOnly {
        bool value = false;
        TimePoint learnt{};
    };
    struct Subscriber;

    void doubt(Entry& entry, RoleSource why, std::vector<Change>& changes);
    void look_in_vain(Entry& entry, TimePoint ended);
    bool is_trusted(const std::string& upstream, const std::string& source, TimePoint now) const;
    void end_look(const Key& key, std::uint64_t number, TimePoint now);
    std::optional<Change> note(Entry& entry, protocol::HostRole role, RoleSource source, TimePoint now);
    void make_room();
    void tell(const std::vector<Change>& changes) noexcept;
    static void tell(Subscriber& subscriber, const Change& change) noexcept;

    mutable std::mutex mutex_;
    std::map<Key, Entry> addresses_;
    std::map<Key, Entry> hosts_;
    std::map<LoginKey, ReadOnly> read_only_;
    std::map<std::pair<std::string, std::string>, TimePoint> trusted_;  // by upstream and source
    std::mutex telling_;
    std::vector<std::weak_ptr<Subscriber>> subscribers_;  // under telling_
};

/// One login's look at an address, until it is destroyed or ended: whether the address is still in
/// the role in which it was. Of what was learnt meanwhile its end takes nothing back.
class HostRoles::Look {
   public:
    Look(Look&& other) noexcept
        : roles_(std::exchange(other.roles_, nullptr)), key_(std::move(other.key_)), number_(other.number_) {}
    Look& operator=(Look&&) = delete;
    ~Look() { end(std::chrono::steady_clock::now()); }

    void end(TimePoint now) noexcept;

   private:
    friend class HostRoles;
    Look(HostRoles* roles, Key key, std::uint64_t number) : roles_(roles), key_(std::move(key)), number_(number) {}

    HostRoles* roles_;
    Key key_;
    std::uint64_t number_;
};

}  // namespace proxy
