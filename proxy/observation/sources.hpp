// What was just seen from the same address: connections that only together tell something about a
// client (docs/verification.md).
//
// Cold path: a few look-ups per connection under one mutex; bounded and forgetful.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace proxy {

class Sources {
   public:
    using Time = std::chrono::steady_clock::time_point;

    /// The same client as far as its StartupMessage tells. Names as PostgreSQL cuts them, so that
    /// each takes little memory.
    struct Identity {
        std::string listener;
        std::string address;
        std::string usename;
        std::string datname;
        std::string application_name;
        auto operator<=>(const Identity&) const = default;
    };

    /// A client at `address` began TLS: until tls_ended its fate is open, and a fallback may arrive
    /// on another thread before it is known.
    void tls_began(const std::string& address);
    /// `refused`: it did not come to a login.
    void tls_ended(const std::string& address, bool refused, Time now);
    /// It asked for TLS and was told that there is none.
    void tls_declined(const std::string& address, Time now);
    void login_refused_over_tls(const Identity& identity, Time now);
    void clear_refused(const Identity& identity, Time now);

    /// It took part in SCRAM.
    void scram_spoken(const Identity& identity, Time now);
    /// It left when it was offered SCRAM: perhaps it does not know it, unless it did before.
    void scram_declined(const Identity& identity, Time now);
    /// It left when it was asked for its password after its own SCRAM message: it would not switch,
    /// and is to be asked first.
    void switch_declined(const Identity& identity, Time now);
    /// It left when it was asked for its password at once: that was not the reason.
    void password_declined(const Identity& identity);

    /// Just now, or perhaps at this moment.
    bool tls_was_refused(const std::string& address, Time now) const;
    bool tls_was_declined(const std::string& address, Time now) const;
    bool login_was_refused_over_tls(const Identity& identity, Time now) const;
    bool clear_was_refused(const Identity& identity, Time now) const;
    /// Within a day, which every such question prolongs.
    bool scram_was_declined(const Identity& identity, Time now);

   private:
    template <class Key>
    using Moments = std::map<Key, Time>;

    template <class Key>
    static bool note(Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory);
    static void remember(Moments<Identity>& moments, const Identity& identity, Time now);
    template <class Key>
    static bool recent(const Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory);

    mutable std::mutex mutex_;
    std::map<std::string, unsigned> tls_open_;
    Moments<std::string> tls_refused_;
    Time flooded_until_{};  // too many to note: until then any address may have been refused
    Moments<std::string> tls_declined_;
    Time declined_flooded_until_{};
    Moments<Identity> login_refused_;
    Moments<Identity> clear_refused_;
    Moments<Identity> scram_spoken_;
    Moments<Identity> scram_declined_;
};

}  // namespace proxy
