#include "protocol/statement_names.hpp"

#include "protocol/secret_words.hpp"

namespace protocol {

void NameHash::add(std::uint8_t c) noexcept {
    if (size_ == max_name) return;
    ++size_;
    value_ = (value_ ^ static_cast<std::uint8_t>(to_lower(c))) * 0x100000001b3;
}

std::uint64_t hash_of(std::string_view name) noexcept {
    NameHash hash;
    for (const char c : name) hash.add(static_cast<std::uint8_t>(c));
    return hash.value();
}

void StatementNames::give_up() noexcept {
    secrets_.clear();
    all_ = unnamed_ = true;
    replaced_ = false;
}

void StatementNames::prepared(std::uint64_t name, bool secret) {
    if (name == NameHash().value()) {
        unnamed_ = unnamed_ || secret;
        replaced_ = !secret;
    } else if (secret && !all_) {
        if (secrets_.size() < max_names)
            secrets_.insert(name);
        else
            give_up();
    }
}

bool StatementNames::may_be_secret(std::uint64_t name) const noexcept {
    if (name == NameHash().value()) return unnamed_ && !replaced_;
    return all_ || secrets_.contains(name);
}

}  // namespace protocol
