// Which hosts and addresses did not serve lately, so that they are tried last, and the log says so
// once and not for every client. One that could not be connected to is looked at in the background
// (HostWatch) until it answers. Whether one serves that took the connection and then did not answer
// the login is seen by a login alone: it is tried again after a while. One that answers, but not as
// sslmode demands (its certificate is refused), keeps its turn: that costs no time. It does not
// serve either, and that is told until it is accepted.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tls/certificates.hpp"

namespace proxy {

/// Keys are "db.internal:5432" and "10.0.0.1:5432". From any thread.
class Outages {
   public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// How long one is tried last that only a login can judge.
    static constexpr std::chrono::seconds memory{30};
    /// After that one connection tries it, and others see for so long what comes of it.
    static constexpr std::chrono::seconds trial{10};
    /// Names move, and addresses with them: the one that failed first makes room.
    static constexpr std::size_t max_remembered = 1000;

    enum class Seen {
        connecting,  // it was not reached: whoever connects sees whether it is
        logging_in,  // it did not answer the login
    };
    struct Failure {
        std::string key;
        std::string upstream;
        std::string host;   ///< "db.internal:5432", which may be the key
        std::string error;  ///< for the log, which gets a line unless it has one already
        Seen seen = Seen::connecting;
        /// A TCP connection must not take longer, or it goes on being tried last.
        std::chrono::microseconds patience = std::chrono::microseconds::max();
    };
    /// `told` is called, on whatever thread, when a host of that upstream serves again: once for
    /// each upstream that met the outage. To be set before any other thread is there.
    void on_recovery(std::function<void(const std::string& upstream)> told) { recovered_ = std::move(told); }
    /// `told` is called, on whatever thread, when one was not reached, or did not answer, for
    /// whichever upstream: what was known of it may have ended. To be set before any other thread
    /// is there.
    void on_failure(std::function<void(const std::string& key)> told) { failed_ = std::move(told); }
    void failed(Failure failure, TimePoint now);
    /// It has answered a login: forgotten, and the log says so.
    void served(const std::string& key, const std::string& upstream);
    /// False also for the one caller that is to try it once its time is over.
    bool tried_last(const std::string& key, TimePoint now);

    /// It was reached, and not accepted.
    struct Refusal {
        std::string key;
        std::string upstream;  ///< another one may accept the same address
        std::string host;
        std::string error;
        std::string verify_error{};  ///< OpenSSL's word for what is wrong with its certificate; empty: it is not that
        std::shared_ptr<const tls::CertificateFacts> leaf{};  ///< that certificate
    };
    void refused(Refusal refusal);
    /// It was connected to, and is what sslmode demands.
    void accepted(const std::string& key, const std::string& upstream);

    struct Outage {
        std::string key;
        std::string upstream;
        std::string host;
        std::string error{};  ///< what it failed with last
        std::chrono::system_clock::time_point since{};
        std::string verify_error{};                           ///< as in Refusal
        std::shared_ptr<const tls::CertificateFacts> leaf{};  ///< as in Refusal
    };
    /// Those that a connection can judge.
    std::vector<Outage> to_look_at() const;
    /// All that did not serve lately, each once, with what it failed with last.
    std::vector<Outage> all() const;
    /// That it was not reached, whichever upstream found out, unless `upstream` reached it since.
    std::optional<Outage> unreached(const std::string& key, const std::string& upstream) const;
    /// One of those was connected to, which took so long: unless that is too long, as served().
    void answered(const std::string& key, std::chrono::microseconds took);
    /// Nobody asks for it any more.
    void forget(const std::string& key);

   private:
    struct Remembered {
        std::string upstream;             // that met it last
        std::set<std::string> upstreams;  // all that have, by names of the configuration
        std::string host;
        std::string error;
        std::chrono::system_clock::time_point since;
        Seen seen;
        std::chrono::microseconds patience;
        TimePoint until;  // of those that a login judges
    };

    void remember(Failure failure, TimePoint now);

    struct Refused {
        Refusal what;
        std::chrono::system_clock::time_point since;
        std::chrono::system_clock::time_point last;
    };

    void tell_recovered(const std::set<std::string>& upstreams) const;

    std::function<void(const std::string& upstream)> recovered_;
    std::function<void(const std::string& key)> failed_;
    mutable std::mutex mutex_;
    std::map<std::string, Remembered> remembered_;                    // and what the log has told of
    std::map<std::pair<std::string, std::string>, Refused> refused_;  // by upstream and key
};

}  // namespace proxy
