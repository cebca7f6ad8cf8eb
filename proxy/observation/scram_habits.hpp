// Remembers for a day which clients know SCRAM and which left when it was offered to them, so that
// an old driver is asked for its password at once when it comes back (docs/authentication.md).
//
// Cold path: one or two look-ups per login under one mutex. Bounded.
#pragma once

#include <chrono>
#include <map>
#include <mutex>

#include "proxy/observation/client_identity.hpp"

namespace proxy {

class ScramHabits {
   public:
    using Time = std::chrono::steady_clock::time_point;

    /// It took part in SCRAM.
    void spoke(const Caller& caller, Time now);
    /// It left when it was offered SCRAM: perhaps it does not know it, unless it did before.
    void left_offer(const Caller& caller, Time now);
    /// It left when it was asked for its password after its own SCRAM message: it would not switch,
    /// and is to be asked first.
    void left_switch(const Caller& caller, Time now);
    /// It left when it was asked for its password at once: SCRAM was not the reason. It is offered
    /// SCRAM for some seconds, whoever leaves that offer meanwhile: a health check of the same name
    /// that always leaves must not keep an application out that insists on SCRAM. Unless somebody
    /// of that name has given its password.
    void left_password(const Caller& caller, Time now);
    /// It gave its password when it was asked at once.
    void gave_password(const Caller& caller, Time now);

    /// It is to be asked for its password rather than offered SCRAM. Within a day, which every such
    /// question prolongs.
    bool wants_password(const Caller& caller, Time now);

   private:
    using Moments = std::map<Caller, Time>;

    static void remember(Moments& moments, const Caller& caller, Time now);
    static bool is_recent(const Moments& moments, const Caller& caller, Time now, std::chrono::seconds memory);

    std::mutex mutex_;
    Moments spoke_;
    Moments left_;
    Moments left_password_;
    Moments gave_password_;
};

}  // namespace proxy
