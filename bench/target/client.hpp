// One PostgreSQL connection that times itself: connect, TLS, login, queries, close. The same
// tls::Stream that the proxy uses.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "bench/target/phases.hpp"
#include "bench/target/route.hpp"
#include "protocol/messages.hpp"
#include "tls/stream.hpp"

namespace bench {

/// What did not come to its end: "PHASE: what went wrong".
struct PhaseError : std::runtime_error {
    PhaseError(const std::string& what, Phase in) : std::runtime_error(what), phase(in) {}
    Phase phase;
    std::string sqlstate;              ///< of the server's ErrorResponse; empty: there was none
    bool certificate_refused = false;  ///< by us
    bool cannot_log_in = false;        ///< we have no password, or no such method, or it was not proved
};

/// How another client opened its connection, where that is to be done again. What is empty is as
/// the target says.
struct Opening {
    protocol::Buffer startup_message;
    std::string user;              ///< the one in it
    std::string password;          ///< of that user
    std::string password_places;   ///< where another one may be said; empty: as of a target
    std::string tls_version;       ///< "TLSv1.2": this one and no other
    std::uint16_t tls_lowest = 0;  ///< versions as on the wire, where tls_version is empty; 0: not said
    std::uint16_t tls_highest = 0;
    std::string groups;                      ///< as SSL_set1_groups_list() takes them
    std::optional<std::string> server_name;  ///< SNI; empty text: none
    std::optional<bool> alpn;                ///< whether "postgresql" is offered
    std::optional<config::SslNegotiation> negotiation;
    bool handshake_only = false;  ///< no login
};

class Client {
   public:
    /// Connects and logs in, within the target's connect_timeout. `route` outlives the client.
    /// `due`: when the connection was to begin; total and overall count from there. Throws
    /// PhaseError.
    static tls::Awaitable<Client> open(const Route& route, Clock::time_point due);

    /// The same, opened as another client did.
    static tls::Awaitable<Client> open_as(const Route& route, Opening opening);

    /// One simple query, up to its ReadyForQuery; rows are thrown away. Throws as open does.
    tls::Awaitable<> query(std::string_view sql);
    /// Terminate, and waits for the peer to close. Throws as open does.
    tls::Awaitable<> close();

    tls::Stream& stream() noexcept { return *stream_; }
    const Phases& phases() const noexcept { return watch_.phases(); }
    /// To cancel with; nullopt: the server gave none.
    const std::optional<protocol::BackendKeyData>& key() const noexcept { return key_; }
    /// What the server has said behind the login.
    protocol::Bytes ahead() const noexcept { return messages_.rest(); }

   private:
    Client(const Route& route, Clock::time_point due);

    tls::Awaitable<> establish();
    tls::Awaitable<> connect();
    tls::Awaitable<> request_tls();
    tls::Awaitable<> start_tls();
    tls::Awaitable<> log_in();
    tls::Awaitable<protocol::Message> read_message();
    tls::Awaitable<> read_to_ready();
    void allow_time();
    [[noreturn]] void fail(const std::exception& error) const;

    const Route* route_;
    Opening opening_;
    Clock::time_point due_;
    Stopwatch watch_;
    std::unique_ptr<tls::Stream> stream_;
    protocol::MessageBuffer messages_;
    protocol::Buffer chunk_;
    std::optional<protocol::BackendKeyData> key_;
};

}  // namespace bench
