// Which live session a cancel key belongs to, so that a CancelRequest reaches the very server that
// gave the key out.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "protocol/startup.hpp"
#include "proxy/observation/own_backends.hpp"
#include "proxy/session/address_group.hpp"
#include "proxy/upstream/attempts.hpp"

namespace proxy {

struct UpstreamRoute;

/// Where a session's server is and how it was reached.
struct CancelTarget {
    std::shared_ptr<const UpstreamRoute> route;
    boost::asio::generic::stream_protocol::endpoint endpoint;
    std::string host;     ///< the name its certificate was verified against
    std::string address;  ///< "10.0.0.1:5432", for reports
    Encryption encryption = Encryption::clear;
    AddressGroup client{};       ///< whose session it is
    bool can_be_guessed = true;  ///< the key has the 32 bits of PostgreSQL before 18
};

class CancelRegistry {
   public:
    /// Takes a session's key out of the registry when the session ends.
    class Registration {
       public:
        Registration() = default;
        Registration(CancelRegistry* registry, std::uint64_t id, std::uint32_t pid)
            : registry_(registry), id_(id), pid_(pid) {}
        Registration(Registration&& other) noexcept
            : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_), pid_(other.pid_) {}
        Registration& operator=(Registration&& other) noexcept {
            std::swap(registry_, other.registry_);
            std::swap(id_, other.id_);
            std::swap(pid_, other.pid_);
            return *this;
        }
        ~Registration() {
            if (registry_) registry_->remove(id_, pid_);
        }

       private:
        CancelRegistry* registry_ = nullptr;
        std::uint64_t id_ = 0;
        std::uint32_t pid_ = 0;
    };

    Registration add(std::uint32_t pid, protocol::Buffer key, CancelTarget target);
    /// Keys are compared in constant time.
    std::optional<CancelTarget> find(const protocol::CancelRequest& request) const;
    /// Of the sessions whose keys are here, or were.
    const OwnBackends& backends() const noexcept { return backends_; }

   private:
    struct Entry {
        std::uint64_t id;
        protocol::Buffer key;
        CancelTarget target;
    };

    void remove(std::uint64_t id, std::uint32_t pid);

    mutable std::mutex mutex_;
    std::uint64_t next_id_ = 1;
    // Two upstreams may give out the same pid.
    std::unordered_multimap<std::uint32_t, Entry> entries_;
    OwnBackends backends_;
};

}  // namespace proxy
