// Whether another process works with the same inventory: each takes a place in a file beside it, by
// locks of fcntl(2) that end with their process. They keep nobody out.
#pragma once

#include <sys/types.h>

#include <string>

namespace proxy {

/// The file beside an inventory that the locks are on. It is never removed.
std::string lock_file(const std::string& inventory);

class InventoryUse {
   public:
    /// From now on other processes are told of this one. Without the file nobody is told anything.
    explicit InventoryUse(const std::string& inventory);
    ~InventoryUse();
    InventoryUse(const InventoryUse&) = delete;
    InventoryUse& operator=(const InventoryUse&) = delete;

    struct Other {
        enum class State { none, draining, serving };
        State state = State::none;
        pid_t pid = 0;  ///< 0: not known, as across containers
    };
    /// One that serves, if there is one.
    Other other() const noexcept;
    /// Of the same, asked by a process that works with no inventory and makes no file.
    static Other seen_from_outside(const std::string& inventory) noexcept;
    /// This one takes no more clients.
    void draining() noexcept;

   private:
    static Other other_on(int fd) noexcept;

    int fd_;
};

}  // namespace proxy
