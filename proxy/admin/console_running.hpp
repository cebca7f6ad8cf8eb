// A question that is being answered for a client of the console, and what may end it before it is.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "tls/asio.hpp"

namespace proxy {

/// Of the control thread.
class RunningQuery {
   public:
    enum class End { none, cancelled, client_left };

    /// `stop`: what the thread that answers looks at. `waiting`: what its session waits for.
    RunningQuery(std::shared_ptr<std::atomic<bool>> stop, std::weak_ptr<tls::Timer> waiting)
        : stop_(std::move(stop)), waiting_(std::move(waiting)) {}

    /// Nobody waits for the answer any more, and nobody works on it for long.
    void interrupt(End why) {
        if (end_ != End::none) return;
        end_ = why;
        stop_->store(true, std::memory_order_relaxed);
        if (const auto timer = waiting_.lock()) timer->cancel();
    }
    End end() const noexcept { return end_; }

   private:
    const std::shared_ptr<std::atomic<bool>> stop_;
    const std::weak_ptr<tls::Timer> waiting_;
    End end_ = End::none;
};

}  // namespace proxy
