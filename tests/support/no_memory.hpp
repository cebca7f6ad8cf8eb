// A thread that finds no memory, from its so-many-th allocation on or for one alone.
#pragma once

#include <cstddef>

namespace support {

class NoMemory {
   public:
    /// On this thread: after `allocations` more, `failures` fail; then there is memory again.
    explicit NoMemory(std::size_t allocations, std::size_t failures = 1) noexcept;
    ~NoMemory();
    NoMemory(const NoMemory&) = delete;
    NoMemory& operator=(const NoMemory&) = delete;

    /// Whether any has failed.
    bool failed() const noexcept;
};

}  // namespace support
