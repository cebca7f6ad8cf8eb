// A name that no other run of any proxy has.
#pragma once

#include <string>

namespace proxy {

/// 16 hex digits, from std::random_device: they need not be hard to guess, only never the same.
std::string random_name();

}  // namespace proxy
