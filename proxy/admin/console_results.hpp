// How many bytes of results the console holds for all its clients together. Each may have one of a
// small size at any time; what is larger is taken from a common stock, of which one user gets half
// at most. From any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

namespace proxy {

class ResultStock {
   public:
    static constexpr std::size_t default_size = 128 * 1024 * 1024;  ///< bytes
    /// Of each result, in bytes, that is taken from nobody.
    static constexpr std::size_t free_of_each = 1024 * 1024;

    explicit ResultStock(std::size_t size = default_size) : size_(size) {}

    /// False: there is not as much left, or not for this user.
    bool take(uid_t user, std::size_t bytes);
    void give_back(uid_t user, std::size_t bytes) noexcept;
    std::size_t taken() const;

   private:
    const std::size_t size_;
    mutable std::mutex mutex_;
    std::size_t taken_ = 0;
    std::map<uid_t, std::size_t> by_user_;  // of those who have taken some
};

/// What one result has of it, for as long as it lives. Of one thread at a time.
class ResultShare {
   public:
    ResultShare(std::shared_ptr<ResultStock> stock, uid_t user) : stock_(std::move(stock)), user_(user) {}
    ResultShare(const ResultShare&) = delete;
    ResultShare& operator=(const ResultShare&) = delete;
    ~ResultShare() { stock_->give_back(user_, taken_); }

    /// The result takes so many bytes in all, or fewer. False: it must not.
    bool cover(std::size_t bytes);

   private:
    const std::shared_ptr<ResultStock> stock_;
    const uid_t user_;
    std::size_t taken_ = 0;  // beyond what is free
};

}  // namespace proxy
