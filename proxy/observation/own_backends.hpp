// Which backends of which servers are, or were a moment ago, the other ends of our sessions: by
// their process ids at the servers' addresses, as the servers told them at the login.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace proxy {

/// From any thread.
class OwnBackends {
   public:
    using Time = std::chrono::steady_clock::time_point;
    /// One whose client has gone may go on for a while, with a long query say.
    static constexpr std::chrono::minutes remembered{10};
    static constexpr std::size_t max_remembered = 50'000;

    /// At `now` the server has told us that a session of ours is there.
    void began(const std::string& address, std::uint32_t pid, Time now);
    /// For lack of memory it is forgotten at once.
    void ended(const std::string& address, std::uint32_t pid, Time now) noexcept;

    struct Known {
        bool open = false;
        Time registered{};  ///< the last one; a backend that began later has only its process id
    };
    /// At any of these addresses. nullopt: none that is remembered.
    std::optional<Known> find(const std::set<std::string>& addresses, std::uint32_t pid) const;

   private:
    struct Place {
        std::string address;
        unsigned open = 0;
        Time registered{};  // the last one
        Time ended{};       // the clock's epoch: none is remembered
    };
    struct Ended {
        Time when;
        std::uint32_t pid;
        std::string address;
    };
    Place* place(const std::string& address, std::uint32_t pid) noexcept;
    void forget(const Ended& one) noexcept;

    mutable std::mutex mutex_;
    std::unordered_multimap<std::uint32_t, Place> places_;
    std::deque<Ended> ended_;  // in the order of time
};

}  // namespace proxy
