// Keys of one password for SCRAM, for logins of our own. Deriving one takes long, so it is done on
// a thread apart, and once for all servers that have the same salt: those of one cluster do.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "protocol/scram.hpp"
#include "proxy/upstream/offload.hpp"

namespace proxy {

/// From any thread.
class DerivedKeys {
   public:
    /// A server chooses its salt: of more than these the oldest is forgotten.
    static constexpr std::size_t max_kept = 16;

    /// `derivations` outlives it.
    DerivedKeys(Offload& derivations, protocol::Buffer password)
        : derivations_(derivations), kept_(std::make_shared<Kept>(std::move(password))) {}

    /// nullopt: not by the deadline, or there was no memory.
    tls::Awaitable<std::optional<protocol::ScramKey>> of(protocol::ScramSalt salt,
                                                         std::chrono::steady_clock::time_point deadline);

   private:
    /// Shared with the work, which may outlive us.
    class Kept {
       public:
        explicit Kept(protocol::Buffer password) : password_(std::move(password)) {}
        std::optional<protocol::ScramKey> find(const protocol::ScramSalt& salt);
        protocol::ScramKey derive(const protocol::ScramSalt& salt);

       private:
        struct Key {
            protocol::ScramSalt salt;
            protocol::ScramKey key;
        };
        const protocol::Buffer password_;
        std::mutex mutex_;
        std::deque<Key> keys_;
    };

    Offload& derivations_;
    const std::shared_ptr<Kept> kept_;
};

}  // namespace proxy
