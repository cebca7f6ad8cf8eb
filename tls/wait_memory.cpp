#include "tls/wait_memory.hpp"

#include <array>
#include <functional>
#include <mutex>

namespace tls {

namespace {

constexpr std::size_t block_size = 512;  // twice what the largest wait takes
constexpr std::size_t block_count = 4096;

union Block {
    Block* next;
    alignas(std::max_align_t) std::array<std::byte, block_size> bytes;
};

/// Pages that are never used cost nothing but address space.
struct Reserve {
    std::mutex mutex;
    Block* free = nullptr;
    std::size_t untouched = 0;  // blocks from here on were never taken
    std::array<Block, block_count> blocks;
};

constinit Reserve reserve{};

}  // namespace

void* take_wait_memory(std::size_t size) noexcept {
    if (size > block_size) return nullptr;
    const std::lock_guard lock(reserve.mutex);
    if (Block* const block = reserve.free) {
        reserve.free = block->next;
        return block;
    }
    return reserve.untouched < block_count ? &reserve.blocks[reserve.untouched++] : nullptr;
}

bool give_back_wait_memory(void* memory) noexcept {
    const std::less<const void*> before;
    if (before(memory, reserve.blocks.data()) || !before(memory, reserve.blocks.data() + block_count)) return false;
    auto* const block = static_cast<Block*>(memory);
    const std::lock_guard lock(reserve.mutex);
    block->next = reserve.free;
    reserve.free = block;
    return true;
}

}  // namespace tls
