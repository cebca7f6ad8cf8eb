// Coroutines without which the program is none: one that accepts, one that hears signals. What they
// throw, mostly for lack of memory, must not end them in silence.
#pragma once

#include <spdlog/spdlog.h>

#include <exception>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include "tls/asio.hpp"

namespace proxy {

/// Runs the coroutine that `make` gives, and begins it anew, after a rest, as often as it throws.
/// Where there is no memory to begin it, that is tried for ten seconds, in which the thread does
/// nothing else; then std::bad_alloc comes out of this, or of the io_context's run().
template <class Make>
void spawn_lasting(tls::Executor executor, Make make);

namespace lasting {

inline constexpr std::chrono::milliseconds rest{100};
inline constexpr int most_tries = 100;

/// Others on the thread go on meanwhile, unless there is no memory for a timer.
template <class Make>
void spawn_after_rest(tls::Executor executor, const Make& make) {
    try {
        const auto timer = std::make_shared<tls::Timer>(executor, rest);
        timer->async_wait([timer, executor, make](boost::system::error_code ended) {
            if (!ended) spawn_lasting(executor, make);
        });
    } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(rest);
        spawn_lasting(executor, make);
    }
}

template <class Make>
void spawn(tls::Executor executor, const Make& make) {
    auto coroutine = make();
    asio::co_spawn(executor, std::move(coroutine), [executor, make](std::exception_ptr failure) {
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            spdlog::error("{}: going on", error.what());
        }
        spawn_after_rest(executor, make);
    });
}

}  // namespace lasting

template <class Make>
void spawn_lasting(tls::Executor executor, Make make) {
    for (int tries = 1;; ++tries) {
        try {
            return lasting::spawn(executor, make);
        } catch (const std::bad_alloc&) {
            if (tries == lasting::most_tries) throw;
        }
        std::this_thread::sleep_for(lasting::rest);
    }
}

}  // namespace proxy
