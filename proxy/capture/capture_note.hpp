// What the audit says of a capture: its status as values.
#pragma once

#include <memory>

#include "proxy/capture/capture_order.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

std::shared_ptr<CaptureNote> note_of(const CaptureStatus& status);

}  // namespace proxy
