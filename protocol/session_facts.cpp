#include "protocol/session_facts.hpp"

namespace protocol {

void SessionFacts::client_sent(char type) noexcept {
    switch (type) {
        case 'Q': binary_results = false; [[fallthrough]];
        case 'F': ++awaited_; break;
        case 'S':
            ++awaited_;
            unsynced_ = false;
            sql.names.synced();
            portals.synced();
            break;
        case 'P':
        case 'B':
        case 'E':
        case 'D':
        case 'C': unsynced_ = true; break;
        default: break;
    }
}

void SessionFacts::server_is_ready() noexcept {
    if (awaited_ > 0) --awaited_;
    if (awaited_ == 0 && !unsynced_ && !lost_) secret_open = false;
}

void SessionFacts::client_is_lost() noexcept {
    lost_ = secret_open = true;
    names_are_unknown();
}

void SessionFacts::names_are_unknown() noexcept {
    sql.names.give_up();
    portals.give_up();
}

void SessionFacts::server_is_lost() noexcept { sql.encoding.named({}); }

}  // namespace protocol
