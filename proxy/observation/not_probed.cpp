#include "proxy/observation/not_probed.hpp"

namespace proxy {
namespace {

struct Words {
    std::string_view label;
    std::string_view sentence;
};

Words words(NotProbed reason) noexcept {
    switch (reason) {
        case NotProbed::off: return {"off", "probing is off"};
        case NotProbed::no_inventory:
            return {"no_inventory", "the inventory cannot be used, which would have what it cost"};
        case NotProbed::no_certificate:
            return {"no_certificate", "this listener has no certificate of the kind that is left"};
        case NotProbed::outside_window: return {"outside_window", "outside the window"};
        case NotProbed::first_connection:
            return {"first_connection", "only clients that completed TLS since pgairlock runs are"};
        case NotProbed::process_unknown: return {"process_unknown", "its process is not known"};
        case NotProbed::open_sessions:
            return {"open_sessions", "it has sessions open, whose cancel requests a probe could cost"};
        case NotProbed::refuses_real: return {"refuses_real", "others at this address refuse our certificate"};
        case NotProbed::falls_back: return {"falls_back", "went on in clear after a refusal"};
        case NotProbed::another_is_out: return {"another_is_out", "another connection is being probed"};
        case NotProbed::nothing_left: return {"nothing_left", "nothing left to learn"};
        case NotProbed::budget_used_up: return {"budget_used_up", "its budget is used up"};
        case NotProbed::grace: return {"grace", "it has just lost a connection"};
        case NotProbed::hourly_budget_used_up:
            return {"hourly_budget_used_up", "the hour's budget of all clients is used up"};
        case NotProbed::fraction: return {"fraction", "its turn has not come"};
        case NotProbed::tls_of_front:
            return {"tls_of_front", "its TLS is, or may be, that of the load balancer in front"};
    }
    return {};
}

}  // namespace

std::string_view label(NotProbed reason) noexcept { return words(reason).label; }

std::string_view sentence(NotProbed reason) noexcept { return words(reason).sentence; }

std::string_view not_probed_text(std::string_view text) noexcept {
    for (std::size_t i = 0; i < not_probed_count; ++i) {
        const auto reason = static_cast<NotProbed>(i);
        if (label(reason) == text) return sentence(reason);
    }
    return text;
}

}  // namespace proxy
