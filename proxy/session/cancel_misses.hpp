// Cancel requests whose key matched nothing: after how many of an address its requests for the
// sessions of others are obeyed no more.
//
// PostgreSQL's keys have 32 bits up to protocol 3.1, and nothing else is asked of whoever sends
// one. At full speed that is guessed within days; at ten a second, not within years. Some misses
// are nobody's guess: the query was over, or a load balancer chose another proxy. So an address has
// many of them free, and the limit is far above what its clients do by themselves.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>

#include "proxy/observation/address_group.hpp"

namespace proxy {

class CancelMisses {
   public:
    using Time = std::chrono::steady_clock::time_point;

    /// Misses that an address has free at once, and how soon it gets one of them back.
    static constexpr unsigned free_misses = 100;
    static constexpr std::chrono::milliseconds time_per_miss{100};
    /// Addresses that are remembered. All others share what one has.
    static constexpr std::size_t max_addresses = 10'000;

    /// False: too many requests of this address matched nothing, so that this one may be a guess.
    bool may_ask(const AddressGroup& address, Time now);
    /// True: that was the last one free, which is to be told once for each such time.
    bool missed(const AddressGroup& address, Time now);

   private:
    struct Misses {
        Time all_free{};  ///< when every one of them will have come back
        bool told = false;

        bool one_free(Time now) const { return all_free + time_per_miss <= now + free_misses * time_per_miss; }
    };

    Misses& of(const AddressGroup& address, Time now);
    void forget_old(Time now);

    std::mutex mutex_;
    std::map<AddressGroup, Misses> addresses_;
    Misses others_;  // of those that found no room
    Time next_forgetting_{};
};

}  // namespace proxy
