// One upstream's ways to look at a server's chain: what is connected with, and each file of trust
// anchors that what was seen is judged by. Loaded once, used for every address.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "proxy/command/check/address_result.hpp"
#include "proxy/route/snapshot.hpp"

namespace proxy::command {

class Judges {
   public:
    /// `route` was loaded without errors, and is not changed while this lives.
    explicit Judges(const UpstreamRoute& route);

    const config::Upstream& settings() const noexcept { return route_.settings; }
    bool encrypts() const noexcept { return route_.tls != nullptr; }
    /// As the upstream's sessions connect, but whatever certificate is shown is accepted: to be
    /// looked at. `without_sni`: the same, sending no name.
    const UpstreamRoute& looking() const noexcept { return looking_; }
    const UpstreamRoute& looking_without_sni() const noexcept { return looking_without_sni_; }

    /// Fills in all that follows from the chain that was `shown` by the server at `result.host`.
    void judge(SSL* shown, AddressResult& result) const;
    /// SHA-256, as hex, of the candidates that a chain has ended in so far.
    std::set<std::string> used_candidates() const;

   private:
    struct File {
        std::string path;
        UpstreamRoute route;
    };
    struct Elsewhere {
        std::string verifier{};  ///< another file, which verifies the chain; empty: none does alone
        bool is_candidate = false;
    };
    static std::string verifier_of(SSL* shown, const std::string& host, const std::vector<File>& files);
    static std::vector<File> each_alone(const config::Upstream& settings, const std::vector<config::File>& files);
    static Verdict verdict_of(SSL* shown, const std::string& host, const File& file, const Elsewhere& elsewhere);
    CandidateVerdict judge_candidate(SSL* shown, const std::string& host, const std::string& verifier) const;

    const UpstreamRoute& route_;
    UpstreamRoute looking_;
    UpstreamRoute looking_without_sni_;
    std::vector<File> files_;
    std::vector<File> candidates_;
    UpstreamRoute candidate_;  // all of them together
};

/// What is said of a candidate where nobody could look; nullopt: none is configured.
std::optional<CandidateVerdict> candidate_not_judged(const config::Upstream& settings, const std::string& why);

}  // namespace proxy::command
