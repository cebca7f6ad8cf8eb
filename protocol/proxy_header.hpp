// The PROXY protocol, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt): what a load balancer puts
// in front of a connection to say whose it is. Read where it is configured, and only from whom it
// is configured for: anybody can write one.
//
// Nothing here guesses. A header that is not exactly as specified is none, and so is one with a
// checksum that does not match. Exactly one is read: a client behind a load balancer that sends a
// header of its own finds it taken for what it is to PostgreSQL, a packet of an invalid length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/endpoint.hpp"
#include "protocol/fault.hpp"

namespace protocol {

/// The line of version 1, with its line break, after the specification.
inline constexpr std::size_t max_proxy_line = 107;
/// The whole header of version 2. Its length field would allow 64 KiB; the largest that anybody
/// sends has a client's certificate in it.
inline constexpr std::size_t max_proxy_header = 8192;

/// What the sender saw of the client's TLS, which ended there (PP2_TYPE_SSL).
struct ProxyTls {
    bool used = false;         ///< false: the client came without any
    bool certificate = false;  ///< it showed one, on this connection or when its session began
    bool verified = false;     ///< that certificate, by the sender
    std::string version;       ///< "TLSv1.3"; these are the sender's words, cut, and may hold anything
    std::string cipher;
    std::string common_name;  ///< of the certificate's subject
    std::string group;        ///< of the key exchange
};

struct ProxyHeader {
    int version = 0;  ///< 1 or 2
    /// The sender speaks for itself, as health checks do; nothing else of such a header is read.
    bool local = false;
    /// The client's address and port, and those that it connected to; nullopt: not told (UNKNOWN,
    /// UNSPEC, UNIX-domain sockets), and always when local.
    std::optional<Endpoint> source;
    std::optional<Endpoint> destination;
    std::string alpn;       ///< what client and sender agreed on; empty, like the next ones: not told
    std::string authority;  ///< the server name that the client asked for (SNI)
    std::string unique_id;  ///< of the connection: opaque bytes, at most 128
    std::string network_namespace;
    std::string vpce_id;                         ///< AWS: the VPC endpoint that it came through
    std::optional<std::uint32_t> azure_link_id;  ///< Azure: of the private endpoint
    std::optional<ProxyTls> tls;                 ///< nullopt: nothing is known of it
};

/// Reads one header byte by byte or in any other portions. It asks for no byte that is behind the
/// header.
class ProxyHeaderParser {
   public:
    enum class State { reading, complete, failed };

    ProxyHeaderParser();

    State state() const noexcept { return state_; }
    /// While reading: that many bytes more belong to the header in any case. At least 1.
    std::size_t wanted() const noexcept { return wanted_; }
    /// At most wanted() of them.
    void feed(Bytes bytes);

    /// Once complete.
    const ProxyHeader& header() const noexcept { return header_; }
    /// Once failed: no header at all, or one that is wrong.
    Fault fault() const noexcept { return fault_; }
    /// What has been fed.
    Bytes taken() const noexcept { return taken_; }

   private:
    void judge_beginning();
    void judge_line();
    void judge_fixed_part();
    void take_binary();
    void fail(Fault fault) noexcept;

    State state_ = State::reading;
    Fault fault_ = Fault::none;
    int version_ = 0;  // 0: not known yet
    std::size_t wanted_ = 0;
    std::size_t due_ = 0;  // what must have been fed before the next step
    Buffer taken_;
    ProxyHeader header_;
};

/// The parts of version 2 behind the addresses, into `header`. `whole`: from the signature on;
/// `begin`: where they begin. False: they are not as specified, or the checksum does not match.
bool take_proxy_tlvs(Bytes whole, std::size_t begin, ProxyHeader& header);

}  // namespace protocol
