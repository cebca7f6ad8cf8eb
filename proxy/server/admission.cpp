#include "proxy/server/admission.hpp"

#include <utility>

namespace proxy {
std::optional<Admission::Answer> Admission::ask(const ListenerRoute& route, const config::Runtime& limits,
                                                const Peer& peer) {
    auto rejection = why_not(route, limits, peer);
    if (!rejection) return Answer{.place = Place(*this, Place::Kind::served, peer.address), .rejection = nullptr};
    if (refused_ >= max_rejections) return std::nullopt;
    return Answer{.place = Place(*this, Place::Kind::refused, peer.address),
                  .rejection = std::make_unique<const Rejection>(std::move(*rejection))};
}

std::optional<Rejection> Admission::why_not(const ListenerRoute& route, const config::Runtime& limits,
                                            const Peer& peer) {
    if (!peer.address.empty() && !route.allows(peer.bytes))
        return address_not_allowed(route.settings.name, peer.address);
    if (served_ >= limits.max_connections) return too_many_connections("max_connections");
    if (limits.max_connections_per_address > 0 && !peer.address.empty()) {
        const std::lock_guard lock(mutex_);
        const auto found = per_address_.find(peer.address);
        if (found != per_address_.end() && found->second >= limits.max_connections_per_address)
            return too_many_connections("max_connections_per_address");
    }
    return std::nullopt;
}

Admission::Place::Place(Admission& admission, Kind kind, std::string address)
    : admission_(&admission), kind_(kind), address_(std::move(address)) {
    if (kind_ == Kind::refused) {
        ++admission_->refused_;
        return;
    }
    ++admission_->served_;
    const std::lock_guard lock(admission_->mutex_);
    ++admission_->per_address_[address_];
}

Admission::Place::Place(Place&& other) noexcept
    : admission_(std::exchange(other.admission_, nullptr)), kind_(other.kind_), address_(std::move(other.address_)) {}

Admission::Place& Admission::Place::operator=(Place&& other) noexcept {
    if (this == &other) return *this;
    free();
    admission_ = std::exchange(other.admission_, nullptr);
    kind_ = other.kind_;
    address_ = std::move(other.address_);
    return *this;
}

void Admission::Place::free() noexcept {
    Admission* const admission = std::exchange(admission_, nullptr);
    if (admission == nullptr) return;
    if (kind_ == Kind::refused) {
        --admission->refused_;
        return;
    }
    {
        const std::lock_guard lock(admission->mutex_);
        const auto found = admission->per_address_.find(address_);
        if (found != admission->per_address_.end() && --found->second == 0) admission->per_address_.erase(found);
    }
    --admission->served_;
}

}  // namespace proxy
