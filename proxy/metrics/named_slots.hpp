// Things of one thread by name, which others may read: one for each listener or upstream of the
// configuration. What stands in a slot is the thread's; the lock is held only to find it.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace proxy {

template <class T>
class NamedSlots {
   public:
    /// Stays where it is as long as this lives.
    T& of(const std::string& name) {
        const std::lock_guard lock(mutex_);
        return slots_[name];
    }
    /// `action(name, slot)`, from any thread: what it reads of a slot must be atomic.
    template <class Action>
    void for_each(Action action) const {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, slot] : slots_) action(name, slot);
    }

   private:
    mutable std::mutex mutex_;
    std::map<std::string, T> slots_;
};

}  // namespace proxy
