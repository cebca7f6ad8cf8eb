// How many clients of the last week are how, by the inventory: counted now and then on a thread of
// its own, which waits for the disk, so that a scrape does not.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "proxy/record/own_thread.hpp"

namespace proxy {

/// Of one upstream, as the report would say of these seven days.
struct ClientNumbers {
    std::uint64_t plain = 0;              ///< in clear at least sometimes, falling back included
    std::uint64_t tls_not_verifying = 0;  ///< would accept an impostor
    std::uint64_t verifying = 0;
    std::uint64_t unknown = 0;
    std::uint64_t not_ready = 0;  ///< would break by the rotation, or may
};

class ClientCensus {
   public:
    using Numbers = std::map<std::string, ClientNumbers>;

    static constexpr std::chrono::hours range{7 * 24};
    /// Between two counts; more where one takes long.
    static constexpr std::chrono::seconds interval{60};

    /// `inventory`: the file. It may come and go.
    explicit ClientCensus(std::string inventory);
    ~ClientCensus();

    /// From any thread: the last count; empty: there is none, or the inventory cannot be read.
    std::shared_ptr<const Numbers> numbers() const;

   private:
    struct Counting;

    const std::shared_ptr<Counting> counting_;  // the thread's as well, which may outlive us
    OwnThread thread_;
};

/// Reads the inventory. Throws std::runtime_error.
ClientCensus::Numbers count_clients(const std::string& inventory, std::chrono::system_clock::time_point now);

}  // namespace proxy
