#include "proxy/admin/console_results.hpp"

namespace proxy {

bool ResultStock::take(uid_t user, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = by_user_.find(user);
    const std::size_t of_user = found == by_user_.end() ? 0 : found->second;
    if (bytes > size_ - taken_ || of_user + bytes > size_ / 2) return false;
    by_user_[user] = of_user + bytes;
    taken_ += bytes;
    return true;
}

void ResultStock::give_back(uid_t user, std::size_t bytes) noexcept {
    if (bytes == 0) return;
    const std::lock_guard lock(mutex_);
    const auto found = by_user_.find(user);
    if (found == by_user_.end()) return;
    found->second -= bytes;
    taken_ -= bytes;
    if (found->second == 0) by_user_.erase(found);
}

std::size_t ResultStock::taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
}

bool ResultShare::cover(std::size_t bytes) {
    const std::size_t wanted = bytes <= ResultStock::free_of_each ? 0 : bytes - ResultStock::free_of_each;
    if (wanted <= taken_) return true;
    if (!stock_->take(user_, wanted - taken_)) return false;
    taken_ = wanted;
    return true;
}

}  // namespace proxy
