#include "proxy/route/proxy_name.hpp"

#include <unistd.h>

#include <climits>

namespace proxy {

std::string proxy_name(const config::Runtime& runtime) {
    if (!runtime.name.empty()) return runtime.name;
    char name[HOST_NAME_MAX + 1] = {};
    return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

}  // namespace proxy
