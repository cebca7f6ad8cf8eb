#include "proxy/upstream/attempts.hpp"

#include <utility>

namespace proxy {

using protocol::SslMode;

namespace {

/// PostgreSQL's word for "starting up", "shutting down" and "in recovery".
constexpr std::string_view cannot_connect_now = "57P03";

}  // namespace

std::vector<Encryption> encryption_order(SslMode mode) {
    switch (mode) {
        case SslMode::disable: return {Encryption::clear};
        case SslMode::allow: return {Encryption::clear, Encryption::tls};
        case SslMode::prefer: return {Encryption::tls, Encryption::clear};
        case SslMode::require:
        case SslMode::verify_ca:
        case SslMode::verify_full: break;
    }
    return {Encryption::tls};
}

Reason AttemptFailure::reason() const noexcept {
    if (verify) return Reason::server_certificate_rejected;
    if (kind == Kind::unwanted) return Reason::no_wanted_host;
    return kind == Kind::unreachable ? Reason::server_not_reached : Reason::server_not_accepted;
}

Attempts::Attempts(const Plan& plan)
    : order_(encryption_order(plan.sslmode)),
      hosts_(plan.hosts),
      deadline_(plan.deadline),
      wanted_(plan.wanted),
      may_wait_(plan.may_wait) {
    walks_left_ = last_wanted() == wanted_ ? 0 : 1;
    if (!plan.prewarmed) begin(0);
}

void Attempts::took_prewarmed(bool ready) noexcept {
    if (!ready) return begin(0);
    prewarmed_ = true;
    next_ = Next::log_in;
}

void Attempts::resolved(std::size_t addresses, TimePoint now) {
    for (std::size_t address = 0; address < addresses; ++address) left_.push_back(address);
    go_on(now);
}

void Attempts::began() {
    begun_.push_back({.address = left_.front(), .silent = false});
    left_.pop_front();
    next_ = Next::wait;
}

void Attempts::silent(TimePoint now) {
    if (begun_.empty()) return;
    begun_.back().silent = true;
    go_on(now);
}

void Attempts::not_reached(std::size_t address, AttemptFailure failure, TimePoint now) {
    std::erase_if(begun_, [&](const Begun& one) { return one.address == address; });
    note(std::move(failure));
    go_on(now);
}

/// Those that are left for it come again, last, should it be of no use after all.
void Attempts::reached(std::size_t address) {
    for (const Begun& one : begun_) {
        if (one.address == address) continue;
        left_.push_back(one.address);
        if (one.silent) ++failed_attempts_;
    }
    begun_.clear();
    address_ = address;
    next_ = Next::establish;
}

void Attempts::failed(AttemptFailure failure, TimePoint now) {
    note(std::move(failure));
    go_on(now);
}

void Attempts::not_tried(const std::string& address, std::string_view why) {
    out_of_time_ = true;
    const std::string error = "not tried: " + std::string(why);
    if (errors_.empty()) worst_ = {.kind = AttemptFailure::Kind::unreachable, .error = error, .address = address};
    errors_ += (errors_.empty() ? "" : "; ") + address + ": " + error;
    next_host();
}

bool Attempts::connected(Encryption got, const std::string& address, TimePoint now) {
    if (suspicious_ && got == Encryption::clear) {
        failed({.kind = AttemptFailure::Kind::not_accepted,
                .error = "server does not support TLS, and clear text is not tried after suspicious bytes of another",
                .address = address},
               now);
        return false;
    }
    // A server that answered 'N' has given us clear text already: nothing else is left to try.
    may_retry_ = another_mode() && got == encryption() && !suspicious_;
    tls_works_ = tls_works_ || got == Encryption::tls;
    next_ = Next::log_in;
    return true;
}

bool Attempts::may_retry(std::string_view sqlstate) const noexcept {
    // libpq asks the next host then, and never the same one in another way.
    if (sqlstate == cannot_connect_now && may_wait_) return true;
    if (sqlstate == cannot_connect_now) return prewarmed_ ? hosts_ > 1 : host_ + 1 < hosts_;
    return may_retry_;
}

void Attempts::refused(std::string_view sqlstate, AttemptFailure refusal) {
    if (sqlstate != cannot_connect_now) return begin(mode_ + 1);
    if (std::exchange(prewarmed_, false)) {
        ++failed_attempts_;
        return begin(0);
    }
    note(std::move(refusal));
    next_host();
}

/// Unlike libpq, which leaves out what a host's name leads to beside it: a name may lead to a
/// whole cluster.
void Attempts::unwanted(AttemptFailure failure, TimePoint now) {
    if (std::exchange(prewarmed_, false)) {
        ++failed_attempts_;
        return begin(0);
    }
    failed(std::move(failure), now);
}

bool Attempts::closed_unanswered(TimePoint now) {
    if (!prewarmed_ || now >= deadline_) return false;
    unanswered({}, now);
    return true;
}

void Attempts::unanswered(AttemptFailure failure, TimePoint now) {
    if (std::exchange(prewarmed_, false)) {
        ++failed_attempts_;
        return begin(0);
    }
    failed(std::move(failure), now);
}

void Attempts::begin(std::size_t mode) {
    mode_ = mode;
    walks_left_ = last_wanted() == wanted_ ? 0 : 1;
    may_retry_ = false;
    worst_ = {.kind = AttemptFailure::Kind::unreachable, .error = "no host is configured"};
    errors_.clear();
    begin_walk();
}

void Attempts::begin_walk() {
    ++walk_;
    host_ = address_ = 0;
    left_.clear();
    begun_.clear();
    next_ = hosts_ > 0 ? Next::resolve : Next::give_up;
}

void Attempts::note(AttemptFailure failure) {
    ++failed_attempts_;
    suspicious_ = suspicious_ || failure.kind == AttemptFailure::Kind::suspicious;
    errors_ += (errors_.empty() ? "" : "; ") + failure.address + ": " + failure.error;
    if (failure.verify) errors_ += " (" + failure.verify->reason + ")";
    if (!worst_.verify || failure.verify) worst_ = std::move(failure);
}

void Attempts::go_on(TimePoint now) {
    if (!left_.empty() && now < deadline_) {
        next_ = Next::connect;
    } else if (!begun_.empty()) {
        next_ = Next::wait;
    } else {
        out_of_time_ = now >= deadline_;
        next_host();
    }
}

void Attempts::next_host() {
    left_.clear();
    address_ = 0;
    if (++host_ < hosts_) {
        next_ = Next::resolve;
        return;
    }
    if (walks_left_ > 0 && !out_of_time_) {
        --walks_left_;
        return begin_walk();
    }
    // libpq's prefer goes on in clear when TLS was the matter, and so do we; never after an attack,
    // and not at hosts of which one was reached over TLS and had another reason.
    const bool tls_was_the_matter = encryption() == Encryption::tls &&
                                    worst_.kind == AttemptFailure::Kind::not_accepted && !suspicious_ && !tls_works_;
    if (tls_was_the_matter && another_mode() && !out_of_time_) return begin(mode_ + 1);
    next_ = Next::give_up;
}

}  // namespace proxy
