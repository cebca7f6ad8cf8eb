// The queue between the threads on which things happen and the one that writes them down: events
// for the audit, lines for the log. Bounded in bytes and not in items, because one may be a hundred
// times as long as another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <new>
#include <utility>

namespace proxy {

/// `Item` has a footprint(const Item&), in bytes.
template <class Item>
class BoundedQueue {
   public:
    using Clock = std::chrono::steady_clock;

    /// `max_bytes`: of the items that wait and of those last taken together.
    explicit BoundedQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    /// From any thread; never waits for the reader. False: there is no room, and there will be none
    /// for any item until the reader takes the next batch. So one count, in one place of the order,
    /// tells of all that were dropped.
    bool push(Item&& item) noexcept {
        const std::size_t size = footprint(item);
        bool wakes = false;
        bool room = false;
        {
            const std::lock_guard lock(mutex_);
            const bool waited = !anything(), gathered = !urgent();
            room = dropped_ == 0 && waiting_bytes_ + taken_bytes_ + size <= max_bytes_ && append(std::move(item));
            if (room) {
                waiting_bytes_ += size;
            } else {
                ++dropped_;
            }
            wakes = waited || (gathered && urgent());
        }
        if (wakes) wake_.notify_one();
        return room;
    }
    /// From any thread: the reader is to reopen its file once it has written what came before.
    void ask_reopen() { ask(reopen_); }
    /// From any thread: the reader has something to do that is in no item.
    void nudge() { ask(nudged_); }
    /// From any thread: the next batch is the last.
    void close() { ask(closed_); }

    struct Batch {
        std::deque<Item> items;
        std::uint64_t dropped = 0;  ///< items that came after these and had no room
        bool reopen = false;
        bool closed = false;
    };
    /// Waits until there is something to do, or until `due` (max(): for ever), and then for more of
    /// it for as long as `gathering`, unless it is much already. The batch taken before counts as
    /// written from now on.
    Batch take(Clock::time_point due, Clock::duration gathering = {}) {
        Batch batch;  // first: it takes memory, and without any nothing has happened
        std::unique_lock lock(mutex_);
        taken_bytes_ = 0;
        taken_ = 0;
        if (due == Clock::time_point::max()) {
            wake_.wait(lock, [this] { return anything(); });
        } else {
            wake_.wait_until(lock, due, [this] { return anything(); });
        }
        if (gathering > Clock::duration::zero() && anything())
            wake_.wait_for(lock, gathering, [this] { return urgent(); });
        taken_bytes_ = std::exchange(waiting_bytes_, 0);
        batch.items.swap(items_);
        taken_ = batch.items.size();
        batch.dropped = std::exchange(dropped_, 0);
        batch.reopen = std::exchange(reopen_, false);
        nudged_ = false;
        batch.closed = closed_;
        return batch;
    }

    /// Items of which it is not known that they are written, from any thread.
    std::uint64_t unwritten() {
        const std::lock_guard lock(mutex_);
        return taken_ + items_.size() + dropped_;
    }

   private:
    bool urgent() const noexcept { return waiting_bytes_ >= max_bytes_ / 4 || dropped_ > 0 || reopen_ || closed_; }
    bool anything() const noexcept { return !items_.empty() || dropped_ > 0 || reopen_ || nudged_ || closed_; }

    /// Without memory there is no room either.
    bool append(Item&& item) noexcept {
        try {
            items_.push_back(std::move(item));
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    void ask(bool& what) {
        {
            const std::lock_guard lock(mutex_);
            what = true;
        }
        wake_.notify_one();
    }

    const std::size_t max_bytes_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Item> items_;
    std::size_t waiting_bytes_ = 0;
    std::size_t taken_bytes_ = 0;
    std::size_t taken_ = 0;
    std::uint64_t dropped_ = 0;
    bool reopen_ = false;
    bool nudged_ = false;
    bool closed_ = false;
};

}  // namespace proxy
