// What a look at inventories comes to, and how it is made of what was read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/inventory_places.hpp"
#include "proxy/dashboard/json_parts.hpp"
#include "proxy/dashboard/running_proxy.hpp"
#include "proxy/dashboard/warning.hpp"

namespace proxy::dashboard {

/// A text, and how often it has changed.
struct Versioned {
    Shared text;  ///< nullptr: there was none so far
    std::uint64_t version = 0;
};

/// What one look came to.
struct Findings {
    Versioned clients, certificates, rotation;
    std::optional<Week> week;          ///< nullopt: not known
    bool current = false;              ///< every inventory could be read just now
    boost::json::array proxies;        ///< as in the overview
    std::vector<std::string> unknown;  ///< sentences
    std::vector<Warning> warnings;
    std::string why_none;  ///< why there is no text of clients; empty: there is one
};

/// The same may be said for long: only something else is a new version. `object`: without the time
/// in front (generated()).
void replace(Versioned& old, const std::string& object, SystemTime when);

/// One look after the other: of some it takes over what the last one said.
class FindingsMaker {
   public:
    struct Settings {
        bool has_inventory = false;
        std::shared_ptr<RunningProxy> running;  ///< nullptr: a fleet
        /// More clients and certificates of servers together are neither shown nor counted.
        std::size_t max_rows = 0;
    };

    explicit FindingsMaker(Settings settings) : settings_(std::move(settings)) {}

    /// Before anything was read.
    Findings none() const;
    /// `texts`: also what only somebody who looks needs, but for the rotation.
    Findings make(const Findings& before, const InventoryPlaces::Reading& reading, bool texts, SystemTime now);
    /// There was too much in what was read last.
    bool is_crowded() const noexcept { return is_crowded_; }

   private:
    void leave_out(Findings& next, std::size_t rows) const;
    void tell_nothing(Findings& next, const InventoryPlaces::Reading& reading) const;
    void count(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now);
    void show(Findings& next, const InventoryPlaces::Reading& reading, SystemTime now);
    void certify(Findings& next, const report::Report* report, SystemTime now) const;
    void take(Findings& next, const report::Report& report, SystemTime now);

    const Settings settings_;
    bool is_crowded_ = false;
    std::vector<Warning> of_report_;  // the last one
};

}  // namespace proxy::dashboard
