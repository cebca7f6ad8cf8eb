// Memory for what a coroutine waits for.
//
// Asio destroys a coroutine whose wait cannot begin, and does so while that coroutine runs: the
// process does not survive it. So waits have a reserve of their own, which is touched only when
// there is no other memory; the work around them fails in good order then, for want of larger
// things. Not covered is Asio's list of timers, at the moments when it doubles its size.
#pragma once

#include <boost/asio/recycling_allocator.hpp>
#include <cstddef>
#include <new>

namespace tls {

/// From the reserve; nullptr: not of this size, or it is used up. Any thread.
void* take_wait_memory(std::size_t size) noexcept;
/// False: it was not from the reserve.
bool give_back_wait_memory(void* memory) noexcept;

/// Asio's own allocator for operations as long as there is memory.
template <class T>
struct WaitAllocator {
    using value_type = T;

    WaitAllocator() = default;
    template <class U>
    constexpr WaitAllocator(const WaitAllocator<U>& /*other*/) noexcept {}
    template <class U>
    constexpr bool operator==(const WaitAllocator<U>& /*other*/) const noexcept {
        return true;
    }

    T* allocate(std::size_t count) {
        try {
            return boost::asio::recycling_allocator<T>().allocate(count);
        } catch (const std::bad_alloc&) {
            if (void* const memory = take_wait_memory(count * sizeof(T))) return static_cast<T*>(memory);
            throw;
        }
    }

    void deallocate(T* memory, std::size_t count) noexcept {
        if (!give_back_wait_memory(memory)) boost::asio::recycling_allocator<T>().deallocate(memory, count);
    }
};

}  // namespace tls
