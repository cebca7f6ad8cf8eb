#include "proxy/upstream/offload.hpp"

namespace proxy {

std::atomic<Offload::Pool*> Offload::last_left{nullptr};

bool Offload::left_work_behind() noexcept { return last_left != nullptr; }

Offload::Offload(std::size_t threads) : pool_(std::make_unique<Pool>(threads)) {}

void Offload::end() {
    close();
    if (!pool_) return;
    pool_->stop();
    std::unique_lock lock(state_->mutex);
    // Work that hangs must not hold up the end of the program, which ends its thread as well.
    const auto patience = left_work_behind() ? std::chrono::seconds(0) : std::chrono::seconds(1);
    if (state_->idle.wait_for(lock, patience, [this] { return state_->running == 0; })) return;
    Pool* const left = pool_.release();
    left->left_before = last_left;
    while (!last_left.compare_exchange_weak(left->left_before, left)) {
    }
}

void Offload::close() {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
}

void Offload::guarded(const std::function<void()>& action) noexcept {
    try {
        try {
            action();
        } catch (const std::exception& error) {
            spdlog::error("{}", error.what());
        }
    } catch (...) {
        // Without memory not even that can be said.
    }
}

bool Offload::begin(State& state) {
    const std::lock_guard lock(state.mutex);
    if (!state.closed) ++state.running;
    return !state.closed;
}

}  // namespace proxy
