// Many sessions at once, opened and closed on the threads of a load generator.
#pragma once

#include "bench/relay/generator.hpp"
#include "bench/relay/session.hpp"

namespace bench {

/// A server that lets nobody in and closes no connection ends a measurement after this.
inline constexpr std::chrono::seconds patience{60};

/// Held until close(). Session `i` belongs to thread `first_thread + i`, counted round.
class Sessions {
   public:
    /// Opens them, and uses each once. Throws std::runtime_error.
    Sessions(Generator& generator, const Route& route, std::size_t count, std::size_t first_thread = 0);

    std::size_t size() const noexcept { return all_.size(); }
    Session& at(std::size_t index) noexcept { return *all_[index]; }
    std::size_t thread_of(std::size_t index) const noexcept;
    /// Throws as the constructor does.
    void close();

   private:
    Generator& generator_;
    std::size_t first_thread_;
    std::vector<std::unique_ptr<Session>> all_;
};

}  // namespace bench
