// The load generator's threads: coroutines are begun on them, and waited for.
#pragma once

#include <future>

#include "bench/target/phases.hpp"
#include "bench/target/workers.hpp"

namespace bench {

class Generator {
   public:
    explicit Generator(unsigned threads) : workers_(threads) {}

    std::size_t threads() const noexcept { return workers_.size(); }
    /// What `work` refers to must live until join.
    void spawn(std::size_t thread, tls::Awaitable<> work);
    /// Something that was begun has ended, which work that is to go on does only by failing.
    bool has_ended() const;
    /// Until everything that was begun has ended; then the first failure is thrown again. What
    /// takes longer than `limit` hangs: the threads are stopped for good, and that is thrown. So
    /// they are when what was begun does not end soon after an interrupt: Interrupted.
    void join(Duration limit);

   private:
    Workers workers_;
    std::vector<std::future<void>> begun_;
};

}  // namespace bench
