// Values as the dashboard's JSON has them: unknown is null, and texts from elsewhere are UTF-8.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/inventory/timestamp.hpp"

namespace proxy::dashboard {

using SystemTime = std::chrono::system_clock::time_point;
/// Made once, sent to everybody who asks.
using Shared = std::shared_ptr<const std::string>;

/// Null when it is empty.
boost::json::value text(std::string_view value);
/// Also when it is empty, which some names are.
boost::json::value name(std::string_view value);
/// RFC 3339, UTC; null for the epoch, which stands for never.
boost::json::value time(SystemTime value);
boost::json::value time(std::optional<SystemTime> value);
boost::json::value time(Timestamp value);
/// Negative once it is over; null for the epoch.
boost::json::value days_left(SystemTime end, SystemTime now);
SystemTime to_time(Timestamp value);

/// As it is sent: in it nothing can do anything to a terminal.
std::string serialized(const boost::json::value& value);

/// What `text`, a JSON object, says, and when that was so in front of it.
Shared generated(SystemTime when, std::string_view object);

}  // namespace proxy::dashboard
