// Who is let in: by address, and by how many are in already. Each connection holds a Place, which
// frees itself.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "proxy/route/snapshot.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/session/rejection.hpp"

namespace proxy {

class Admission {
   public:
    class Place;
    struct Answer;

    /// Refusals in progress: each may cost a TLS handshake and the time that a client takes to hear
    /// it, so their number is bounded too.
    static constexpr unsigned max_rejections = 256;

    /// nullopt: too many are being refused already, so this one cannot even be told.
    std::optional<Answer> ask(const ListenerRoute& route, const config::Runtime& limits, const Peer& peer);

    /// Connections that were let in and are not over.
    unsigned served() const noexcept { return served_; }
    /// All that are not over, those being refused included.
    unsigned present() const noexcept { return served_ + refused_; }

   private:
    std::optional<Rejection> why_not(const ListenerRoute& route, const config::Runtime& limits, const Peer& peer);

    std::atomic<unsigned> served_{0};
    std::atomic<unsigned> refused_{0};
    std::mutex mutex_;
    std::map<std::string, unsigned> per_address_;  // of those served
};

/// What one connection takes up, until this is destroyed or freed, on whatever thread. The
/// Admission outlives it.
class Admission::Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept;
    Place& operator=(Place&& other) noexcept;
    ~Place() { free(); }

    /// Does nothing the second time.
    void free() noexcept;

   private:
    friend class Admission;
    enum class Kind { served, refused };
    Place(Admission& admission, Kind kind, std::string address);

    Admission* admission_ = nullptr;  // nullptr: freed, or moved from
    Kind kind_ = Kind::served;
    std::string address_;
};

struct Admission::Answer {
    Place place;
    std::unique_ptr<const Rejection> rejection;  ///< nullptr: let in
};

}  // namespace proxy
