#include "proxy/dashboard/inventory_places.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <stdexcept>

#include "tls/certificates.hpp"

namespace proxy::dashboard {

InventoryPlaces::InventoryPlaces(std::vector<InventoryPlace> places) {
    for (InventoryPlace& place : places) places_.push_back({.place = std::move(place), .rows = {}});
}

InventoryPlaces::Reading InventoryPlaces::read(SystemTime now) {
    Reading reading;
    for (Known& one : places_) {
        try {
            one.rows = one.place.read();
            one.read = now;
        } catch (const std::bad_alloc&) {
            throw;  // says nothing of the inventory
        } catch (const std::exception& error) {
            std::string why = error.what();
            std::replace(why.begin(), why.end(), '\n', ' ');
            const std::string of_then = one.read == SystemTime{}
                                            ? "nothing of it is known"
                                            : "what is shown of it is of " + tls::to_rfc3339(one.read);
            reading.unread.push_back(why + "; " + of_then + "; tried at " + tls::to_rfc3339(now));
        }
        const bool has_rows = one.read == now || !one.rows.empty();
        one.given = one.rows.size();
        std::move(one.rows.begin(), one.rows.end(), std::back_inserter(reading.rows));
        one.rows = {};
        if (!has_rows) continue;
        reading.oldest = reading.known ? std::min(reading.oldest, one.read) : one.read;
        reading.known = true;
    }
    return reading;
}

void InventoryPlaces::keep(Reading reading) {
    if (places_.size() < 2) return;
    auto next = reading.rows.begin();
    for (Known& one : places_) {
        const auto end = next + static_cast<std::ptrdiff_t>(one.given);
        one.rows.assign(std::make_move_iterator(next), std::make_move_iterator(end));
        next = end;
    }
}

}  // namespace proxy::dashboard
