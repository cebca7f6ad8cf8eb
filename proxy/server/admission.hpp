// Who is let in: by address, and by how many are in already. Each connection holds a Place, which
// frees itself.
//
// A connection takes one of max_connections only when it asks to log in, and until it has logged in
// one of max_connections_before_login. So whoever says nothing keeps nobody out who does, and a
// CancelRequest, which is no login, finds its place also when max_connections is reached. The other
// limits of logins, by listener, user, database and rate, are asked for at the same moment.
//
// A login that has to wait, for a host or for others, gives its place before the login back and
// takes one of those for waiting, a part of max_connections: an upstream that does not serve keeps
// out nobody who comes for another one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "proxy/observation/address_group.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/server/login_counts.hpp"
#include "proxy/server/login_rates.hpp"
#include "proxy/session/login_request.hpp"
#include "proxy/session/rejection.hpp"
#include "proxy/upgrade/overlap_text.hpp"

namespace proxy {

class Admission {
   public:
    class Place;
    struct Answer;

    /// Refusals in progress, beyond max_connections_before_login: each may cost a TLS handshake and
    /// the time that a client takes to hear it, or turn out to be a CancelRequest.
    static constexpr unsigned max_rejections = 256;
    /// Of these, for one address.
    static constexpr unsigned max_rejections_per_address = 32;
    /// Strangers: whoever comes from an address that is not in `allow`, all of them together.
    static constexpr unsigned max_strangers = 32;

    /// At accept. Where connections begin with a PROXY protocol header, `peer` is a load balancer:
    /// it counts for as long as that takes to come, and is asked for again with Place::enter().
    /// nullopt: too many are being refused already, so this one cannot even be told.
    std::optional<Answer> ask(const ListenerRoute& route, const config::Runtime& limits, const Peer& peer);

    /// Logins that wait or have waited: so many of max_connections, half of these for one address.
    /// The rest is for others.
    static unsigned most_waiting(unsigned max_connections) { return max_connections - max_connections / 4; }

    /// Connections that asked to log in, were not refused, and are not over.
    unsigned served() const;
    /// All that are not over.
    unsigned present() const;
    /// The next one would be refused, wherever it came from, unless it is one of reserved_users.
    bool is_full(const config::Runtime& limits) const;
    /// Another process has so many of its own, whose place this one took: limits are for both.
    void elsewhere(Elsewhere counts);
    /// The same of this process, for whoever takes its place.
    Elsewhere served_here() const;

   private:
    enum class Kind : std::uint8_t {
        stranger,    // being refused for its address
        refused,     // being refused at accept for any other reason
        opening,     // has not asked to log in yet
        logging_in,  // has, and was let
        waiting,     // likewise, and has had to wait
        served,      // is logged in
    };
    struct Counts {
        unsigned before_login = 0;
        unsigned served = 0;
        unsigned waiting = 0;  // of those served
        unsigned refused = 0;

        void change(Kind kind, int by) noexcept;
        bool operator==(const Counts&) const = default;
    };
    /// What a connection is measured against: the limits of the time at which it came.
    struct Limits {
        unsigned served = 0;
        unsigned served_per_address = 0;  ///< 0: no limit
        unsigned reserved = 0;            ///< of `served`, and of a listener's own
        unsigned before_login = 0;
    };
    /// Who comes: in text, and what counts as one with it.
    struct Arrival {
        const std::string& address;
        const std::array<std::uint8_t, 16>& bytes;
        bool by_header = false;
    };
    using Address = std::optional<AddressGroup>;  // nullopt: a UNIX-domain peer, for which there is no limit

    std::optional<Answer> find_place(const ListenerRoute& route, const Limits& limits, const Arrival& arrival);
    std::optional<Rejection> too_many_before_login(const Limits& limits, const Address& address) const;
    bool may_be_refused(const Address& address) const;
    std::optional<Rejection> too_many_logins(const Limits& limits, const Address& address, const LoginRequest& request);
    void change(Kind kind, const Address& address, int by);
    void become(Kind before, Kind after, const Address& address);
    Counts counts_of(const Address& address) const;
    unsigned served_elsewhere(const AddressGroup& address) const;

    mutable std::mutex mutex_;
    Counts all_;
    unsigned strangers_ = 0;
    unsigned present_ = 0;
    std::map<AddressGroup, Counts> per_address_;
    LoginCounts logins_;
    LoginRates rates_;
    Elsewhere elsewhere_;
};

/// What one connection takes up, until this is destroyed or freed, on whatever thread. The
/// Admission outlives it.
class Admission::Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept;
    Place& operator=(Place&& other) noexcept;
    ~Place() { free(); }

    /// Whose connection it is has been told by a header: from now on it counts for that address, by
    /// which it is let in or not, whatever was said of the load balancer's. Once, before
    /// begin_login(). `false`: it cannot even be told why not, and has no place any more.
    bool enter(const ListenerRoute& route, const std::string& address, const std::array<std::uint8_t, 16>& bytes,
               std::unique_ptr<const Rejection>& rejection);

    /// Its StartupMessage has come. nullopt: from now on it takes one of max_connections. Else why
    /// not.
    std::optional<Rejection> begin_login(const LoginRequest& request);
    /// Its login has to wait. False: too many do, and it stays what it was. True also once more.
    bool wait();
    /// It has logged in.
    void logged_in();
    /// Does nothing the second time.
    void free() noexcept;

   private:
    friend class Admission;
    Place(Admission& admission, Kind kind, Limits limits, const Address& address);

    Admission* admission_ = nullptr;  // nullptr: freed, or moved from
    Kind kind_ = Kind::opening;
    Limits limits_;
    Address address_;
    std::optional<LoginCounts::Share> share_;  // since it was let log in
};

struct Admission::Answer {
    Place place;
    std::unique_ptr<const Rejection> rejection;  ///< nullptr: let in
};

}  // namespace proxy
