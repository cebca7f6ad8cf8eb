// The hosts of an upstream with `discover`: those of the configuration, and those that the monitor
// has found since. The one thing of a route that changes.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace proxy {

/// From any thread.
class FoundHosts {
   public:
    using List = std::vector<config::Address>;

    explicit FoundHosts(List configured) : configured_(configured), all_(std::make_shared<const List>(configured)) {}

    /// Those of the configuration first, in their order. Stays as it is for whoever has it.
    std::shared_ptr<const List> all() const {
        const std::lock_guard lock(mutex_);
        return all_;
    }
    /// From now on these are used beside those of the configuration.
    void set(const List& found) {
        List list = configured_;
        list.insert(list.end(), found.begin(), found.end());
        auto all = std::make_shared<const List>(std::move(list));
        const std::lock_guard lock(mutex_);
        all_.swap(all);
    }

   private:
    const List configured_;
    mutable std::mutex mutex_;
    std::shared_ptr<const List> all_;
};

}  // namespace proxy
