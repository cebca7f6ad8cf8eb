// What has changed at the addresses of upstreams since they were looked at last, for `check
// --watch`: one line each. No I/O, no clock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/command/check/address_result.hpp"
#include "proxy/observation/event.hpp"

namespace proxy::command {

struct Change {
    enum class Kind {
        moved,              // another certificate, of another authority (is_other_ca)
        certificate,        // another one of the same authority
        unreachable,        // or not as sslmode demands; also a host that has no address
        back,               // what was unreachable
        refused,            // its certificate does not verify any more
        accepted,           // it does again, or now
        candidate_ok,       // sslrootcert_candidate suffices now
        candidate_refused,  // and now it does not
        clear,              // the server does not speak TLS any more, and sslmode allows that
        encrypted,          // it does again, or now
        appeared,           // an address that its host had not before
        gone,               // its host has it no more
    };
    Kind kind{};
    std::string upstream{};
    std::string host{};
    std::string address{};
    std::string from{};      ///< moved: the name of the authority before
    std::string to{};        ///< and now; also of `certificate`
    std::string from_key{};  ///< moved: key_sha256 of its anchor; empty: it was not verified
    std::string to_key{};
    std::string text{};  ///< for people, without when and where
    bool ok = false;     ///< the address is, now
};

/// A word each: "moved", "candidate_ok".
const char* label(Change::Kind kind) noexcept;

/// "db-2 (10.0.0.2)": with the port where that is not PostgreSQL's.
std::string place_of(const Change& change);

/// Who vouches for what the address shows: the anchor's common name, or where it does not verify
/// the last issuer's. Empty: nothing is known.
std::string authority_of(const AddressResult& result);

/// Who vouches for a certificate, as is_other_ca has it.
struct ShownAuthority {
    std::string subject{};  ///< the anchor's, or where the chain does not verify the last issuer
    std::string issuer{};
    std::string issuer_key_id{};
    std::string anchor{};
    std::string anchor_key_sha256{};
};

/// Remembers what was seen last of each address; of its certificate also while it is away.
class Changes {
   public:
    /// The first time: nothing has changed.
    std::vector<Change> since_last(const std::vector<AddressResult>& now);

   private:
    using Key = std::tuple<std::string, std::string, std::string>;  // upstream, host, address

    struct Seen {
        std::string error;
        // As it was when it could be reached last.
        std::string sha256{};
        ShownAuthority authority{};         // its anchor: the last one that was known
        bool anchor_is_of_another = false;  // certificate, before this one, which nobody has verified
        std::optional<bool> encrypted{};
        std::optional<bool> holds{};
        std::optional<bool> candidate{};
    };
    static void compare(Seen& seen, const AddressResult& now, std::vector<Change>& changes);
    static void compare_certificates(Seen& seen, const AddressResult& now, std::vector<Change>& changes);
    void forget_those_gone(const std::vector<AddressResult>& now, std::vector<Change>& changes);

    std::map<Key, Seen> seen_;
    bool first_ = true;
};

}  // namespace proxy::command
