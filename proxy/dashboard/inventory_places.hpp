// The inventories that the dashboard is about, each read anew now and then. One that cannot be read
// is as it was when it last could, and that is said.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/inventory/inventory_reader.hpp"

namespace proxy::dashboard {

struct InventoryPlace {
    /// Throws std::runtime_error that names what was looked at, without a password. May take long.
    std::function<std::vector<InventoryRows>()> read;
};

class InventoryPlaces {
   public:
    explicit InventoryPlaces(std::vector<InventoryPlace> places);

    struct Reading {
        std::vector<InventoryRows> rows;
        std::vector<std::string> unread;  ///< a sentence for each that could not be read now
        bool known = false;               ///< rows of one at least are here, be they old
        SystemTime oldest{};              ///< when what is oldest of it was read
    };
    /// What was kept (keep()) is in it, and is kept no more. Throws std::bad_alloc.
    Reading read(SystemTime now);
    /// Takes back what was read, so that one of several that cannot be read next time is as it was.
    /// Of a single one nothing is kept: its rows take memory that sessions may need, and what was
    /// made of them is there.
    void keep(Reading reading);
    std::size_t size() const noexcept { return places_.size(); }

   private:
    struct Known {
        InventoryPlace place;
        std::vector<InventoryRows> rows;  // that are kept
        std::size_t given = 0;            // how many of the rows that were read last are its own
        SystemTime read{};                // the epoch: never
    };
    std::vector<Known> places_;
};

}  // namespace proxy::dashboard
