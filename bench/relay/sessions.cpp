#include "bench/relay/sessions.hpp"

namespace bench {
namespace {

/// Of each thread: so many logins at a time. More would only wait, and could overflow a server's
/// queue of connections.
constexpr std::size_t logins_at_a_time = 8;

}  // namespace

Sessions::Sessions(Generator& generator, const Route& route, std::size_t count, std::size_t first_thread)
    : generator_(generator), first_thread_(first_thread), all_(count) {
    const std::size_t step = generator.threads() * logins_at_a_time;
    const auto open = [&](std::size_t first) -> tls::Awaitable<> {
        for (std::size_t i = first; i < all_.size(); i += step) {
            all_[i] = co_await Session::open(route);
            co_await all_[i]->ping();
        }
    };
    for (std::size_t first = 0; first < std::min(step, count); ++first) generator.spawn(thread_of(first), open(first));
    // A login has connect_timeout; a thousand of them have their turns.
    generator.join(patience + std::chrono::milliseconds(20) * count);
}

std::size_t Sessions::thread_of(std::size_t index) const noexcept {
    return (first_thread_ + index) % generator_.threads();
}

void Sessions::close() {
    const auto close = [this](std::size_t thread) -> tls::Awaitable<> {
        for (std::size_t i = 0; i < all_.size(); ++i) {
            if (thread_of(i) != thread) continue;
            all_[i]->close();
            all_[i].reset();
        }
        co_return;
    };
    for (std::size_t thread = 0; thread < generator_.threads(); ++thread) generator_.spawn(thread, close(thread));
    generator_.join(patience);
    all_.clear();
}

}  // namespace bench
