// All sessions together: who connected how, what failed, what was slow.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

struct ClientCounts {
    std::uint64_t connections = 0;  ///< all of the others together, and those that are none of them
    std::uint64_t plain = 0;        ///< in clear
    std::uint64_t tls = 0;          ///< handshakes that were completed
    std::uint64_t tls_failed = 0;
    std::uint64_t login_failed = 0;     ///< auth_failed
    std::uint64_t rejected = 0;         ///< by the proxy
    std::uint64_t upstream_failed = 0;  ///< no server that was acceptable; among them:
    std::uint64_t server_certificate_refused = 0;
    std::uint64_t server_tls_failed = 0;  ///< TLS to the server came to nothing for another reason
    std::uint64_t cancels = 0;            ///< CancelRequests

    /// No server at all.
    std::uint64_t no_server() const noexcept {
        return upstream_failed - server_certificate_refused - server_tls_failed;
    }
    std::uint64_t failures() const noexcept { return tls_failed + login_failed + rejected + upstream_failed; }
    /// Neither failed nor a cancel.
    std::uint64_t good() const noexcept;
    void add(const ClientCounts& other) noexcept;
};

/// Who it is: in a sidecar all have one address. A handshake that failed has no user, and is known
/// by its process and address alone.
struct ClientKey {
    std::string address{};
    std::string user{};
    std::string application_name{};
    std::string exe{};
    std::int64_t uid = -1;

    bool has_name() const noexcept { return !user.empty() || !application_name.empty(); }
    bool is_process_of(const ClientKey& other) const noexcept {
        return address == other.address && !exe.empty() && exe == other.exe && uid == other.uid;
    }
    /// As far as is known: a process that is gone may not be.
    bool may_be(const ClientKey& other) const noexcept {
        return address == other.address && (exe.empty() || other.exe.empty() || exe == other.exe) &&
               (uid < 0 || other.uid < 0 || uid == other.uid);
    }
    auto operator<=>(const ClientKey&) const = default;
};

struct ClientSummary {
    ClientCounts all;
    ClientCounts before;  ///< the moment of the comparison
    ClientCounts since;
    std::string last_failure{};  ///< in words
    /// It connected before and not since, while a client without a name fails TLS from the same
    /// process or address: probably this one. In words, how that one failed.
    std::string silent_while{};

    /// Went silent since, and may be one that fails TLS: what was only ever in clear is not.
    bool may_have_lost_tls() const noexcept {
        const bool only_in_clear = before.tls == 0 && before.tls_failed == 0 && before.plain >= before.good();
        return before.good() > 0 && since.connections == 0 && !only_in_clear;
    }
    /// Connected before in clear alone, and is not there since.
    bool left_in_clear() const noexcept { return before.good() > 0 && since.connections == 0 && !may_have_lost_tls(); }
    /// Connected before, and only fails since.
    bool fails_since() const noexcept { return before.good() > 0 && since.good() == 0 && since.failures() > 0; }
    /// A greater part of its connections than before, or it was not seen before.
    bool fails_more() const noexcept;
    /// Had TLS before, and connects in clear since, as `prefer` does when it refuses a certificate.
    bool falls_to_clear() const noexcept { return before.tls > 0 && before.plain == 0 && since.plain > 0; }
};

struct SlowStatement {
    protocol::CapturedStatement statement;
    std::string session;
    std::string user;
};

class Summary {
   public:
    /// ns since 1970: what is compared is what began before it with what began since.
    explicit Summary(std::optional<std::uint64_t> compare_at = {}) : compare_at_(compare_at) {}

    void add(const ReadSession& session);

    std::optional<std::uint64_t> compare_at() const noexcept { return compare_at_; }
    const ClientCounts& all() const noexcept { return all_; }
    const ClientCounts& before() const noexcept { return before_; }
    const ClientCounts& since() const noexcept { return since_; }
    /// Failed handshakes are with the client of their process where that is known and the only one.
    std::map<ClientKey, ClientSummary> clients() const;
    /// Of clients that are too many to be listed.
    std::uint64_t others() const noexcept { return others_; }
    const SessionTotals& totals() const noexcept { return totals_; }
    const std::vector<SlowStatement>& slowest() const noexcept { return slowest_; }

   private:
    void give_to_names(std::map<ClientKey, ClientSummary>& clients, const ClientKey& nameless) const;
    void add_statements(const ReadSession& session);

    std::optional<std::uint64_t> compare_at_;
    ClientCounts all_, before_, since_;
    std::map<ClientKey, ClientSummary> clients_;
    std::uint64_t others_ = 0;
    SessionTotals totals_;
    std::vector<SlowStatement> slowest_;
};

}  // namespace proxy::transcript
