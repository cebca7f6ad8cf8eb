#include "proxy/server/admission.hpp"

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

/// So that no address alone can take all places before the login, or all for waiting.
unsigned share_of_one_address(unsigned places) { return (places + 1) / 2; }

/// For those whom the reserve is not for.
unsigned left_of(unsigned most, unsigned reserved) { return most - std::min(most, reserved); }

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
                       .reserved = limits.reserved_connections,
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
    return all_.served + elsewhere_.served >= left_of(limits.max_connections, limits.reserved_connections) ||
           all_.before_login >= limits.max_connections_before_login;
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

/// In the order from what concerns all to what concerns this one, as PostgreSQL. A refusal by
/// another limit is a login that was begun, too: the rate comes first.
std::optional<Rejection> Admission::too_many_logins(const Limits& limits, const Address& address,
                                                    const LoginRequest& request) {
    const config::Listener& listener = request.route.settings;
    const config::Upstream& upstream = request.route.upstream->settings;
    const bool privileged = request.route.reserves_for(request.user);
    const unsigned reserved = privileged ? 0 : limits.reserved;

    if (address && !rates_.may_begin(listener.name, *address, listener.login_rate_per_address, request.now))
        return logins_too_fast(listener);
    const unsigned served = all_.served + elsewhere_.served;
    if (served >= limits.served) return too_many_connections("max_connections");
    if (served >= left_of(limits.served, reserved)) return rest_is_reserved(reserved, "pgairlock's");
    if (limits.served_per_address > 0 && address &&
        counts_of(address).served + served_elsewhere(*address) >= limits.served_per_address)
        return too_many_connections("max_connections_per_address");
    if (const unsigned most = listener.max_connections; most > 0) {
        const unsigned here = logins_.of_listener(request);
        if (here >= most) return listener_is_full(listener);
        if (here >= left_of(most, reserved)) return rest_is_reserved(reserved, "listener \"" + listener.name + "\"'s");
    }
    if (privileged) return std::nullopt;
    if (upstream.max_db_connections > 0 && logins_.of_database(request) >= upstream.max_db_connections)
        return database_is_full(request);
    if (upstream.max_user_connections > 0 && logins_.of_user(request) >= upstream.max_user_connections)
        return user_is_full(request);
    return std::nullopt;
}

void Admission::elsewhere(Elsewhere counts) {
    const std::lock_guard lock(mutex_);
    logins_.elsewhere(std::move(counts.logins));
    elsewhere_ = std::move(counts);
}

Elsewhere Admission::served_here() const {
    const std::lock_guard lock(mutex_);
    Elsewhere here{.served = all_.served, .per_address = {}, .logins = logins_.all()};
    for (const auto& [address, counts] : per_address_) {
        if (counts.served > 0) here.per_address.emplace(address, counts.served);
    }
    return here;
}

unsigned Admission::served_elsewhere(const AddressGroup& address) const {
    const auto found = elsewhere_.per_address.find(address);
    return found == elsewhere_.per_address.end() ? 0 : found->second;
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
    if (kind == Kind::logging_in || kind == Kind::waiting || kind == Kind::served) served += change;
    if (kind == Kind::waiting) waiting += change;
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
      address_(other.address_),
      share_(other.share_) {}

Admission::Place& Admission::Place::operator=(Place&& other) noexcept {
    if (this == &other) return *this;
    free();
    admission_ = std::exchange(other.admission_, nullptr);
    kind_ = other.kind_;
    limits_ = other.limits_;
    address_ = other.address_;
    share_ = other.share_;
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

std::optional<Rejection> Admission::Place::begin_login(const LoginRequest& request) {
    const std::lock_guard lock(admission_->mutex_);
    auto why_not = admission_->too_many_logins(limits_, address_, request);
    if (why_not) return why_not;
    const LoginCounts::Share share = admission_->logins_.take(request);
    try {
        admission_->become(Kind::opening, Kind::logging_in, address_);
    } catch (...) {
        admission_->logins_.give_back(share);
        throw;
    }
    share_ = share;
    kind_ = Kind::logging_in;
    return std::nullopt;
}

bool Admission::Place::wait() {
    const std::lock_guard lock(admission_->mutex_);
    if (kind_ == Kind::waiting) return true;
    const unsigned most = most_waiting(limits_.served);
    if (admission_->all_.waiting >= most) return false;
    if (address_ && admission_->counts_of(address_).waiting >= share_of_one_address(most)) return false;
    admission_->become(kind_, Kind::waiting, address_);
    kind_ = Kind::waiting;
    return true;
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
    if (share_) admission->logins_.give_back(*share_);
}

}  // namespace proxy
