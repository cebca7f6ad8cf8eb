// Remembers for a few seconds who failed with TLS and who was turned away, so that the next
// connection of the same client can be recognised as its fallback (libpq's sslmode=prefer retrying
// in clear, say; docs/verification.md).
//
// Cold path: a few look-ups per connection under one mutex. Bounded.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "proxy/observation/client_identity.hpp"

namespace proxy {

class RecentClients {
   public:
    using Time = std::chrono::steady_clock::time_point;

    /// A client at `address` begins TLS. One of the next two is due for each: until then its fate
    /// is open, and its fallback may arrive on another thread before it is known.
    void tls_began(const std::string& address);
    /// It was no failure.
    void tls_succeeded(const std::string& address);
    /// It came to no login.
    void tls_failed(const std::string& address, Time now);
    /// It asked for TLS and was told that there is none.
    void tls_declined(const std::string& address, Time now);
    void login_denied_over_tls(const Caller& caller, Time now);
    /// Because this listener takes nobody without TLS.
    void rejected_in_clear(const Caller& caller, Time now);

    /// True within 5 s after TLS failed for this address, and while a TLS connection from it is
    /// still undecided.
    bool may_have_failed_tls(const std::string& address, Time now) const;
    /// Within 5 s.
    bool was_declined_tls(const std::string& address, Time now) const;
    /// Within 2 s.
    bool was_denied_over_tls(const Caller& caller, Time now) const;
    /// Within 2 s.
    bool was_rejected_in_clear(const Caller& caller, Time now) const;

   private:
    template <class Key>
    using Moments = std::map<Key, Time>;

    /// Of addresses. In a flood of them any address may have been one.
    struct Addresses {
        Moments<std::string> moments;
        Time flooded_until{};
    };

    template <class Key>
    static bool note(Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory);
    static void note(Addresses& addresses, const std::string& address, Time now);
    static bool is_recent(const Addresses& addresses, const std::string& address, Time now);
    static bool is_recent(const Moments<Caller>& moments, const Caller& caller, Time now);
    void close_tls(const std::string& address);

    mutable std::mutex mutex_;
    std::map<std::string, unsigned> tls_open_;
    Addresses tls_failed_;
    Addresses tls_declined_;
    Moments<Caller> login_denied_;
    Moments<Caller> rejected_in_clear_;
};

}  // namespace proxy
