#include "proxy/upstream/derived_keys.hpp"

#include <algorithm>

#include "tls/scram_crypto.hpp"

namespace proxy {

std::optional<protocol::ScramKey> DerivedKeys::Kept::find(const protocol::ScramSalt& salt) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& one) { return one.salt == salt; });
    return found == keys_.end() ? std::nullopt : std::optional(found->key);
}

/// Somebody who waited before us may have derived it meanwhile.
protocol::ScramKey DerivedKeys::Kept::derive(const protocol::ScramSalt& salt) {
    if (const auto known = find(salt)) return *known;
    const protocol::ScramKey key = tls::salted_password(password_, salt);
    const std::lock_guard lock(mutex_);
    keys_.push_back({.salt = salt, .key = key});
    if (keys_.size() > max_kept) keys_.pop_front();
    return key;
}

tls::Awaitable<std::optional<protocol::ScramKey>> DerivedKeys::of(protocol::ScramSalt salt,
                                                                  std::chrono::steady_clock::time_point deadline) {
    std::optional<protocol::ScramKey> key = kept_->find(salt);
    if (key) co_return key;
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto waiting = std::make_shared<tls::Timer>(executor);
    auto work = [kept = kept_, salt = std::move(salt)] { return kept->derive(salt); };
    key = co_await derivations_.run(std::move(work), deadline, waiting);
    co_return key;
}

}  // namespace proxy
