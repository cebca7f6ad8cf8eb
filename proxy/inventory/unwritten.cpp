#include "proxy/inventory/unwritten.hpp"

#include "tls/certificates.hpp"

namespace proxy {

std::string to_text(const Unwritten& unwritten) {
    const bool waits = unwritten.events == 0;
    const std::uint64_t count = waits ? unwritten.rows : unwritten.events;
    const std::string what = std::to_string(count) + (waits ? " row" : " event") + (count == 1 ? "" : "s");
    return "the inventory has not been written since " + tls::to_rfc3339(unwritten.since) +
           ", and what is shown of clients is older than that: without " + what +
           (waits ? ", kept in memory" : ", in no report");
}

std::string to_text(const Unshared& unshared) {
    return "the inventory has not been shared in " + unshared.where + " since " + tls::to_rfc3339(unshared.since) +
           ", and whoever looks there does not see what this proxy has seen since: " + unshared.why;
}

}  // namespace proxy
