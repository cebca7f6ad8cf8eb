// The descriptor that is closed once, by the name that it has here.
#pragma once

#include "tls/owned_descriptor.hpp"

namespace proxy {

using OwnedDescriptor = tls::OwnedDescriptor;

}  // namespace proxy
