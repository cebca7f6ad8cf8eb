// Threads with an io_context each. A connection stays on the thread where it began, so nothing of
// it is locked.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "tls/asio.hpp"

namespace bench {

class Workers {
   public:
    /// 0: one per core.
    explicit Workers(unsigned threads);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// Drops what is still being done and joins the threads: nothing runs any more.
    void stop();
    std::size_t size() const noexcept { return all_.size(); }
    asio::io_context& at(std::size_t index) noexcept { return all_[index % all_.size()]->io; }

   private:
    struct Worker {
        asio::io_context io{1};
        asio::executor_work_guard<tls::Executor> keep_running{io.get_executor()};
        std::thread thread{[this] { io.run(); }};
    };

    std::vector<std::unique_ptr<Worker>> all_;
};

/// As many descriptors as the hard limit allows.
void raise_descriptor_limit() noexcept;
/// Throws std::invalid_argument, which names the number that is needed, when the limit is too low
/// for so many at a time.
void require_descriptors(std::size_t connections, std::size_t threads);

}  // namespace bench
