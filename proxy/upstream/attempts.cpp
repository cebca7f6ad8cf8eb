#include "proxy/upstream/attempts.hpp"

namespace proxy {

using protocol::SslMode;

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
    return kind == Kind::unreachable ? Reason::server_not_reached : Reason::server_not_accepted;
}

Attempts::Attempts(const Plan& plan)
    : order_(encryption_order(plan.sslmode)), hosts_(plan.hosts), deadline_(plan.deadline) {
    if (!plan.prewarmed) begin(0);
}

void Attempts::took_prewarmed(bool ready) noexcept {
    if (!ready) return begin(0);
    prewarmed_ = true;
    next_ = Next::log_in;
}

void Attempts::resolved(std::size_t addresses, TimePoint now) {
    addresses_ = addresses;
    go_to_address(0, now);
}

void Attempts::failed(AttemptFailure failure, TimePoint now) {
    suspicious_ = suspicious_ || failure.kind == AttemptFailure::Kind::suspicious;
    errors_ += (errors_.empty() ? "" : "; ") + failure.address + ": " + failure.error;
    if (!worst_.verify || failure.verify) worst_ = std::move(failure);
    go_to_address(address_ + 1, now);
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
    next_ = Next::log_in;
    return true;
}

void Attempts::refused() { begin(mode_ + 1); }

bool Attempts::closed_unanswered(TimePoint now) {
    if (!prewarmed_ || now >= deadline_) return false;
    prewarmed_ = false;
    begin(0);
    return true;
}

void Attempts::begin(std::size_t mode) {
    mode_ = mode;
    host_ = address_ = addresses_ = 0;
    may_retry_ = false;
    worst_ = {.kind = AttemptFailure::Kind::unreachable, .error = "no host is configured"};
    errors_.clear();
    next_ = hosts_ > 0 ? Next::resolve : Next::give_up;
}

void Attempts::go_to_address(std::size_t address, TimePoint now) {
    address_ = address;
    if (address_ < addresses_ && now < deadline_) {
        next_ = Next::connect;
        return;
    }
    address_ = addresses_ = 0;
    if (++host_ < hosts_) {
        next_ = Next::resolve;
        return;
    }
    // libpq's prefer goes on in clear when TLS was the matter, and so do we; never after an attack.
    const bool tls_was_the_matter =
        encryption() == Encryption::tls && worst_.kind == AttemptFailure::Kind::not_accepted && !suspicious_;
    if (tls_was_the_matter && another_mode()) return begin(mode_ + 1);
    next_ = Next::give_up;
}

}  // namespace proxy
