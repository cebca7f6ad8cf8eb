#include "proxy/observation/event.hpp"

namespace proxy {

bool SessionRecord::weak() const noexcept {
    return !ssl || sslmode().verifies() == protocol::Verifies::no || client_tls.weak;
}

std::string_view label(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::connected: return "connected";
        case EventKind::disconnected: return "disconnected";
        case EventKind::tls_failed: return "tls_failed";
        case EventKind::auth_failed: return "auth_failed";
        case EventKind::rejected: return "rejected";
        case EventKind::upstream_failed: return "upstream_failed";
        case EventKind::cancel: return "cancel";
        case EventKind::started: return "started";
        case EventKind::stopping: return "stopping";
        case EventKind::reloaded: return "reloaded";
        case EventKind::reload_failed: return "reload_failed";
        case EventKind::upstream_certificate: return "upstream_certificate";
        case EventKind::client_changed: return "client_changed";
        case EventKind::events_dropped: return "events_dropped";
    }
    return "";
}

}  // namespace proxy
