// What has happened and is not yet a message: grouped, so that a storm of one kind is one message
// with a number. Its size has a limit by itself: few kinds, the upstreams of the configuration, and
// of each group a few lines. Pure: when it is comes as an argument.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proxy/alert/alert_message.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

class AlertGroups {
   public:
    using Clock = std::chrono::steady_clock;
    /// More than a configuration has upstreams; they come and go with reloads. Beyond that, what
    /// was longest quiet is forgotten.
    static constexpr std::size_t max_remembered = 1'000;

    /// `next_id`: another one each time.
    explicit AlertGroups(std::function<std::string()> next_id) : next_id_(std::move(next_id)) {}

    /// True: somebody should look at due() again. `proxy`: for the audit's lines.
    bool notice(const Event& event, const config::Alert& settings, const std::string& proxy, Clock::time_point now);

    struct Taken {
        std::vector<AlertMessage> changed;   ///< to be kept, and still growing
        std::vector<AlertMessage> ready;     ///< complete: to be kept and sent, in this order
        std::vector<std::string> withdrawn;  ///< ids of what was perhaps kept, and is not told
    };
    /// What has changed since, and at most `room` that are complete; `all`: they are by now. Of one
    /// thing never the end before its beginning. When it throws, all of it is still there.
    Taken take(Clock::time_point now, std::size_t room, bool all = false);
    /// When the next is complete; max(): none is begun.
    Clock::time_point due() const noexcept;
    bool has_changed() const noexcept { return changed_; }
    bool empty() const noexcept { return groups_.empty(); }

   private:
    struct Key {
        config::AlertKind kind{};
        std::string upstream;
        AlertStatus status{};
        auto operator<=>(const Key&) const = default;
    };
    /// Something that can end, and has not: over all of its messages.
    struct Firing {
        Clock::time_point began{};
        Clock::time_point seen{};
        AlertMessage::Time since{};
        AlertMessage::Time last_at{};
        std::uint64_t count = 0;
        std::string last{};  ///< what it was, in one line
    };
    struct Group {
        AlertMessage message;
        Clock::time_point due;
        Firing over{};  ///< of an end: what it ends
        bool changed = true;
        bool taken = false;
    };
    /// What notice() was called with.
    struct Now {
        const Event& event;
        const config::Alert& settings;
        const std::string& proxy;
        Clock::time_point time;
    };

    void begin(const Key& key, const Now& now);
    void go_on(const Key& key, const Now& now);
    void end(const Key& key, const Now& now);
    static std::vector<AlertMessage::Shown> told_of_end(const Firing& was, Clock::time_point now);
    Group& group(const Key& key, const Now& now);
    void withdraw_end(const Key& begun);

    const std::function<std::string()> next_id_;
    std::map<Key, Group> groups_;
    tls::RecentlyUsed<Key, Clock::time_point> sent_{max_remembered};  // when the last message was complete
    tls::RecentlyUsed<Key, Firing> firing_{max_remembered};
    std::vector<std::string> withdrawn_;
    bool changed_ = false;
};

}  // namespace proxy
