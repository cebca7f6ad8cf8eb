// Who is let in: by address, and by how many are in already. Each connection holds a Place, which
// frees itself.
//
// A connection takes one of max_connections only when it asks to log in, and until it has logged in
// one of max_connections_before_login. So whoever says nothing keeps nobody out who does, and a
// CancelRequest, which is no login, finds its place also when max_connections is reached.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "proxy/route/snapshot.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/session/address_group.hpp"
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

    /// nullopt: too many are being refused already, so this one cannot even be told.
    std::optional<Answer> ask(const ListenerRoute& route, const config::Runtime& limits, const Peer& peer);

    /// Connections that asked to log in, were not refused, and are not over.
    unsigned served() const;
    /// All that are not over.
    unsigned present() const;
    /// The next one would be refused, wherever it came from.
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
        served,      // is logged in
    };
    struct Counts {
        unsigned before_login = 0;
        unsigned served = 0;
        unsigned refused = 0;

        void change(Kind kind, int by) noexcept;
        bool operator==(const Counts&) const = default;
    };
    /// What a connection is measured against: the limits of the time at which it came.
    struct Limits {
        unsigned served = 0;
        unsigned served_per_address = 0;  ///< 0: no limit
    };
    using Address = std::optional<AddressGroup>;  // nullopt: a UNIX-domain peer, for which there is no limit

    std::optional<Rejection> too_many_before_login(const config::Runtime& limits, const Address& address) const;
    bool may_be_refused(const Address& address) const;
    std::optional<Rejection> begin_login(const Limits& limits, const Address& address);
    void change(Kind kind, const Address& address, int by);
    void become(Kind before, Kind after, const Address& address);
    Counts counts_of(const Address& address) const;
    unsigned served_elsewhere(const AddressGroup& address) const;

    mutable std::mutex mutex_;
    Counts all_;
    unsigned strangers_ = 0;
    unsigned present_ = 0;
    std::map<AddressGroup, Counts> per_address_;
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

    /// Its StartupMessage has come. nullopt: from now on it takes one of max_connections. Else why
    /// not.
    std::optional<Rejection> begin_login();
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
};

struct Admission::Answer {
    Place place;
    std::unique_ptr<const Rejection> rejection;  ///< nullptr: let in
};

}  // namespace proxy
