#include "proxy/observation/random_name.hpp"

#include <cstdio>
#include <random>

namespace proxy {

std::string random_name() {
    std::random_device device;
    char text[20];
    std::snprintf(text, sizeof text, "%08x%08x", device(), device());
    return text;
}

}  // namespace proxy
