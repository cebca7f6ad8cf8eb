// Which sessions somebody wants captured, in words.
#pragma once

#include <string>

#include "proxy/capture/capture_order.hpp"

namespace proxy {

/// "listener=legacy user=app client_addr=10.0.0.0/8"; empty: all sessions.
std::string filter_text(const CaptureFilter& filter);

}  // namespace proxy
