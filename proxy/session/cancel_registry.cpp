#include "proxy/session/cancel_registry.hpp"

#include <openssl/crypto.h>

namespace proxy {

CancelRegistry::Registration CancelRegistry::add(std::uint32_t pid, protocol::Buffer key, CancelTarget target) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = next_id_++;
    target.can_be_guessed = key.size() <= sizeof(std::uint32_t);
    const std::string address = target.address;
    backends_.began(address, pid, std::chrono::steady_clock::now());
    try {
        entries_.emplace(pid, Entry{.id = id, .key = std::move(key), .target = std::move(target)});
    } catch (const std::bad_alloc&) {
        backends_.ended(address, pid, std::chrono::steady_clock::now());
        throw;
    }
    return {this, id, pid};
}

std::optional<CancelTarget> CancelRegistry::find(const protocol::CancelRequest& request) const {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = entries_.equal_range(request.pid);
    for (auto it = begin; it != end; ++it) {
        const protocol::Buffer& key = it->second.key;
        if (key.size() == request.key.size() && CRYPTO_memcmp(key.data(), request.key.data(), key.size()) == 0)
            return it->second.target;
    }
    return std::nullopt;
}

void CancelRegistry::remove(std::uint64_t id, std::uint32_t pid) {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = entries_.equal_range(pid);
    for (auto it = begin; it != end; ++it) {
        if (it->second.id != id) continue;
        backends_.ended(it->second.target.address, pid, std::chrono::steady_clock::now());
        entries_.erase(it);
        return;
    }
}

}  // namespace proxy
