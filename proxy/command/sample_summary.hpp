// What `pgairlock sample` has seen, added up for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "proxy/observation/server_look.hpp"

namespace proxy::command {

class SampleSummary {
   public:
    struct Server {
        std::uint64_t looks = 0, failed = 0, left_out = 0;
        std::uint64_t asked() const noexcept { return looks + failed; }
    };

    void add(const ServerLook& look);
    /// Of all servers.
    std::uint64_t looks() const noexcept { return looks_; }
    /// By address.
    const std::map<std::string, Server>& servers() const noexcept { return servers_; }
    /// A table, those in clear first, and what it comes to.
    std::string text() const;

   private:
    /// Rows of the table are never more; sessions beyond them are in the sums.
    static constexpr std::size_t max_rows = 5'000;
    struct Row {
        std::uint64_t sessions = 0, seen = 0;
    };

    std::map<std::string, Server> servers_;
    std::map<SampledKind, Row> rows_;
    Row all_, clear_;
    std::uint64_t looks_ = 0;
    std::chrono::microseconds interval_{0};
};

}  // namespace proxy::command
