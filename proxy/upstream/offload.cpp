#include "proxy/upstream/offload.hpp"

#include <atomic>

namespace proxy {
namespace {

std::atomic<bool> work_is_left{false};

}  // namespace

bool Offload::left_work_behind() noexcept { return work_is_left; }

Offload::Offload(std::size_t threads) : pool_(std::make_unique<asio::thread_pool>(threads)) {}

Offload::~Offload() {
    close();
    pool_->stop();
    const std::lock_guard lock(state_->mutex);
    // Work that hangs must not hold up the end of the program, which ends its thread as well.
    if (state_->running == 0) return;
    pool_.release();
    work_is_left = true;
}

void Offload::close() {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
}

bool Offload::begin(State& state) {
    const std::lock_guard lock(state.mutex);
    if (!state.closed) ++state.running;
    return !state.closed;
}

}  // namespace proxy
