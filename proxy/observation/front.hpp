// What stands in front of us, and what it said of a connection in its PROXY protocol header: the
// header as it is recorded, its texts cut and UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "protocol/proxy_header.hpp"

namespace proxy {

struct Front {
    std::string addr;  ///< its own address, as the kernel names it
    int version = 0;   ///< of the header: 1, 2; 0: none has come yet
    /// It speaks for itself, as its health checks do: no client of anybody's.
    bool local = false;
    /// It named the client's address; without that, its own stands for it.
    bool named_client = false;
    std::string alpn{};
    std::string authority{};
    std::string unique_id{};
    std::string vpce_id{};
    std::optional<std::uint32_t> azure_link_id{};
    std::optional<protocol::ProxyTls> tls{};

    /// The client's TLS ends there: whatever TLS we see is the front's own.
    bool ends_tls() const noexcept { return tls && tls->used; }
    /// "TLSv1.3 TLS_AES_256_GCM_SHA384 CN=billing": what it saw of the client's TLS.
    std::string tls_text() const;
};

/// `addr`: of whoever sent it.
Front front_of(const protocol::ProxyHeader& header, std::string addr);

/// In bytes, with all its texts.
std::size_t footprint(const Front& front) noexcept;

}  // namespace proxy
