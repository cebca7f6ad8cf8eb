#include "proxy/server/admission.hpp"

#include <utility>

namespace proxy {
namespace {

/// So that no address alone can take all places before the login.
unsigned share_of_one_address(unsigned places) { return (places + 1) / 2; }

Rejection share_is_taken() {
    Rejection told = too_many_connections("max_connections_before_login");
    told.response.detail = "One address may take half of pgairlock's max_connections_before_login, and has.";
    return told;
}

}  // namespace

std::optional<Admission::Answer> Admission::ask(const ListenerRoute& route, const config::Runtime& limits,
                                                const Peer& peer) {
    const Limits known{.served = limits.max_connections,
                       .served_per_address = limits.max_connections_per_address,
                       .before_login = limits.max_connections_before_login};
    const std::lock_guard lock(mutex_);
    return find_place(route, known, {.address = peer.address, .bytes = peer.bytes});
}

/// Under the lock. Everything that may fail for want of memory comes before the place: that one
/// locks as it is freed.
std::optional<Admission::Answer> Admission::find_place(const ListenerRoute& route, const Limits& limits,
                                                       const Arrival& arrival) {
    const Address address = arrival.address.empty() ? Address() : address_group(arrival.bytes);
    const bool is_front = route.has_front() && !arrival.by_header;
    if (address && !(is_front ? route.trusts(arrival.bytes) : route.allows(arrival.bytes))) {
        if (strangers_ >= max_strangers) return std::nullopt;
        const std::string& listener = route.settings.name;
        auto why = std::make_unique<const Rejection>(is_front ? proxy_not_trusted(listener, arrival.address)
                                                              : address_not_allowed(listener, arrival.address));
        return Answer{.place = Place(*this, Kind::stranger, limits, address), .rejection = std::move(why)};
    }
    if (auto too_many = too_many_before_login(limits, address)) {
        if (!may_be_refused(address)) return std::nullopt;
        auto why = std::make_unique<const Rejection>(std::move(*too_many));
        return Answer{.place = Place(*this, Kind::refused, limits, address), .rejection = std::move(why)};
    }
    return Answer{.place = Place(*this, Kind::opening, limits, address), .rejection = nullptr};
}

unsigned Admission::served() const {
    const std::lock_guard lock(mutex_);
    return all_.served;
}

unsigned Admission::present() const {
    const std::lock_guard lock(mutex_);
    return present_;
}

bool Admission::is_full(const config::Runtime& limits) const {
    const std::lock_guard lock(mutex_);
    return all_.served >= limits.max_connections || all_.before_login >= limits.max_connections_before_login;
}

std::optional<Rejection> Admission::too_many_before_login(const Limits& limits, const Address& address) const {
    const unsigned most = limits.before_login;
    if (all_.before_login >= most) return too_many_connections("max_connections_before_login");
    if (address && counts_of(address).before_login >= share_of_one_address(most)) return share_is_taken();
    return std::nullopt;
}

bool Admission::may_be_refused(const Address& address) const {
    return all_.refused < max_rejections && (!address || counts_of(address).refused < max_rejections_per_address);
}

std::optional<Rejection> Admission::begin_login(const Limits& limits, const Address& address) {
    if (all_.served >= limits.served) return too_many_connections("max_connections");
    if (limits.served_per_address > 0 && address && counts_of(address).served >= limits.served_per_address)
        return too_many_connections("max_connections_per_address");
    become(Kind::opening, Kind::logging_in, address);
    return std::nullopt;
}

/// All or nothing, without memory too; and nothing needs any where its address is counted already.
void Admission::change(Kind kind, const Address& address, int by) {
    if (kind == Kind::stranger) {
        strangers_ += static_cast<unsigned>(by);
    } else {
        if (address) {
            const auto here = per_address_.try_emplace(*address).first;
            here->second.change(kind, by);
            if (here->second == Counts()) per_address_.erase(here);
        }
        all_.change(kind, by);
    }
    present_ += static_cast<unsigned>(by);
}

void Admission::become(Kind before, Kind after, const Address& address) {
    change(after, address, +1);
    change(before, address, -1);
}

Admission::Counts Admission::counts_of(const Address& address) const {
    const auto found = per_address_.find(*address);
    return found == per_address_.end() ? Counts() : found->second;
}

void Admission::Counts::change(Kind kind, int by) noexcept {
    const auto change = static_cast<unsigned>(by);
    if (kind == Kind::refused) refused += change;
    if (kind == Kind::opening || kind == Kind::logging_in) before_login += change;
    if (kind == Kind::logging_in || kind == Kind::served) served += change;
}

// --- Place

/// Under the lock.
Admission::Place::Place(Admission& admission, Kind kind, Limits limits, const Address& address)
    : admission_(&admission), kind_(kind), limits_(limits), address_(address) {
    admission.change(kind, address, +1);
}

Admission::Place::Place(Place&& other) noexcept
    : admission_(std::exchange(other.admission_, nullptr)),
      kind_(other.kind_),
      limits_(other.limits_),
      address_(other.address_) {}

Admission::Place& Admission::Place::operator=(Place&& other) noexcept {
    if (this == &other) return *this;
    free();
    admission_ = std::exchange(other.admission_, nullptr);
    kind_ = other.kind_;
    limits_ = other.limits_;
    address_ = other.address_;
    return *this;
}

/// The old place goes first, under the same lock: it must not stand in the way of the new one.
bool Admission::Place::enter(const ListenerRoute& route, const std::string& address,
                             const std::array<std::uint8_t, 16>& bytes, std::unique_ptr<const Rejection>& rejection) {
    Admission* const admission = std::exchange(admission_, nullptr);
    const std::lock_guard lock(admission->mutex_);
    admission->change(kind_, address_, -1);
    auto answer = admission->find_place(route, limits_, {.address = address, .bytes = bytes, .by_header = true});
    if (!answer) return false;
    admission_ = std::exchange(answer->place.admission_, nullptr);  // this one, empty now, locks nothing as it goes
    kind_ = answer->place.kind_;
    address_ = answer->place.address_;
    rejection = std::move(answer->rejection);
    return true;
}

std::optional<Rejection> Admission::Place::begin_login() {
    const std::lock_guard lock(admission_->mutex_);
    auto why_not = admission_->begin_login(limits_, address_);
    if (!why_not) kind_ = Kind::logging_in;
    return why_not;
}

void Admission::Place::logged_in() {
    const std::lock_guard lock(admission_->mutex_);
    admission_->become(kind_, Kind::served, address_);
    kind_ = Kind::served;
}

void Admission::Place::free() noexcept {
    Admission* const admission = std::exchange(admission_, nullptr);
    if (admission == nullptr) return;
    const std::lock_guard lock(admission->mutex_);
    admission->change(kind_, address_, -1);
}

}  // namespace proxy
