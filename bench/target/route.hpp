// A target made ready to be connected to many times: addresses looked up, CA files read, and
// packets serialized, all once.
#pragma once

#include <memory>
#include <vector>

#include "bench/target/conninfo.hpp"
#include "protocol/bytes.hpp"
#include "tls/asio.hpp"
#include "tls/upstream_context.hpp"

namespace bench {

using Endpoint = asio::generic::stream_protocol::endpoint;

/// Immutable; shared by every connection of every thread.
class Route {
   public:
    /// Blocks while the name is looked up. Throws std::invalid_argument for a CA file that cannot
    /// be used, std::runtime_error for a name that is not found.
    explicit Route(Target target);

    const Target& target() const noexcept { return target_; }
    /// At least one; to be tried in order.
    const std::vector<Endpoint>& endpoints() const noexcept { return endpoints_; }
    /// nullptr: the connections stay in clear.
    const tls::UpstreamContext* tls() const noexcept { return tls_.get(); }
    protocol::Bytes startup_message() const noexcept { return startup_message_; }

   private:
    Target target_;
    std::unique_ptr<const tls::UpstreamContext> tls_;
    std::vector<Endpoint> endpoints_;  // behind tls_: a wrong file name is told before a look-up that may take seconds
    protocol::Buffer startup_message_;
};

}  // namespace bench
