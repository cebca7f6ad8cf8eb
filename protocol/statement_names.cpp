#include "protocol/statement_names.hpp"

#include "protocol/secret_words.hpp"

namespace protocol {

void NameHash::add(std::uint8_t c) noexcept {
    value_ = (value_ ^ static_cast<std::uint8_t>(to_lower(c))) * 0x100000001b3;
}

std::uint64_t hash_of(std::string_view name) noexcept {
    NameHash hash;
    for (const char c : name) hash.add(static_cast<std::uint8_t>(c));
    return hash.value();
}

void StatementNames::begin_unknown() noexcept {
    exceptions_.clear();
    unknown_are_secret_ = true;
}

void StatementNames::give_up() noexcept { begin_unknown(); }

void StatementNames::prepared(std::uint64_t name, bool secret) {
    if (secret == unknown_are_secret_) {
        if (secret || name == NameHash().value()) exceptions_.erase(name);
    } else if (exceptions_.size() < max_names) {
        exceptions_.insert(name);
    } else if (secret) {
        give_up();
    }
}

bool StatementNames::may_be_secret(std::uint64_t name) const noexcept {
    return exceptions_.contains(name) != unknown_are_secret_;
}

}  // namespace protocol
