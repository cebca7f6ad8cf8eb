// The program's operator new, which fails where a test wants it to.
#include "support/no_memory.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local bool counting = false;
thread_local std::size_t left = 0;      // allocations until the first that fails
thread_local std::size_t failures = 0;  // that are still to come
thread_local bool has_failed = false;

bool fails() noexcept {
    if (!counting) return false;
    if (left > 0) {
        --left;
        return false;
    }
    if (failures == 0) return false;
    --failures;
    has_failed = true;
    return true;
}

}  // namespace

void* operator new(std::size_t size) {
    if (fails()) throw std::bad_alloc();
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
}
// All of them: a sanitizer has its own for those that are left alone, which do not fit ours.
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t& nothrow) noexcept { return operator new(size, nothrow); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace support {

NoMemory::NoMemory(std::size_t allocations, std::size_t failing) noexcept {
    left = allocations;
    failures = failing;
    has_failed = false;
    counting = true;
}

NoMemory::~NoMemory() { counting = false; }

bool NoMemory::failed() const noexcept { return has_failed; }

}  // namespace support
