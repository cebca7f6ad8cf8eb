#include "bench/target/phases.hpp"

namespace bench {

std::string_view to_string(Phase phase) noexcept {
    switch (phase) {
        case Phase::tcp: return "tcp";
        case Phase::sslrequest: return "sslrequest";
        case Phase::tls: return "tls";
        case Phase::startup: return "startup";
        case Phase::authentication: return "authentication";
        case Phase::total: return "total";
        case Phase::query: return "query";
        case Phase::close: return "close";
        case Phase::overall: break;
    }
    return "overall";
}

}  // namespace bench
