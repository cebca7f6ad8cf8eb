// How far the rotation of the certificate authority is: day by day how many clients are ready for
// it, and who moved when. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::dashboard {

inline constexpr int rotation_days = 30;
inline constexpr std::size_t max_moves = 300;
inline constexpr std::size_t max_not_ready = 100;

/// Without its `generated`. Each day has the numbers of a report until its end. Moves of one moment
/// are in the order of today's report. `is_over`, asked between two clients: nobody wants it any
/// more; then it is empty.
std::string rotation_text(
    const std::vector<InventoryRows>& inventories, Timestamp now,
    const std::function<bool()>& is_over = [] { return false; });

}  // namespace proxy::dashboard
