// One logged-in connection driven as fast as it goes: small queries and COPY, by the functions of
// tls::Stream that the proxy's relay uses.
#pragma once

#include <memory>

#include "bench/target/client.hpp"
#include "bench/target/tls_facts.hpp"
#include "protocol/framer.hpp"

namespace bench {

class Session {
   public:
    /// `route` outlives the session. Throws std::runtime_error, as all of these do.
    static tls::Awaitable<std::unique_ptr<Session>> open(const Route& route);

    /// One small query and its answer.
    tls::Awaitable<> ping();
    /// COPY of exactly so many bytes from or to the null backend (bench/null/null_backend.hpp);
    /// anything else is a failure.
    tls::Awaitable<> copy_out(std::uint64_t bytes);
    tls::Awaitable<> copy_in(std::uint64_t bytes);
    /// Terminate, without waiting for the other end's answer.
    void close();
    /// nullopt: in clear.
    std::optional<TlsFacts> tls_facts() { return bench::tls_facts(client_.stream().ssl()); }

   private:
    explicit Session(Client client) : client_(std::move(client)) {}

    tls::Awaitable<> send(protocol::Bytes bytes);
    /// Reads up to a message of that type.
    tls::Awaitable<> read_to(char type);

    Client client_;
    protocol::Framer framer_;
    std::uint64_t copied_ = 0;  // bytes that came as CopyData
    std::string tag_;           // of the last CommandComplete
};

}  // namespace bench
