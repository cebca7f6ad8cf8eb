// SCRAM's cryptography for fuzzing: deterministic, fast, and of no use for anything else. Both
// sides agree with each other.
#pragma once

#include "protocol/scram.hpp"

inline protocol::ScramKey fake_hash(protocol::Bytes a, protocol::Bytes b) {
    std::uint64_t state = 1469598103934665603ULL;
    protocol::ScramKey key;
    for (const protocol::Bytes part : {a, b}) {
        for (const std::uint8_t byte : part) state = (state ^ byte) * 1099511628211ULL;
    }
    for (std::uint8_t& byte : key) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        byte = static_cast<std::uint8_t>(state >> 56);
    }
    return key;
}

inline const protocol::ScramCrypto& fake_crypto() {
    static const protocol::ScramCrypto crypto{
        .hmac_sha256 = fake_hash,
        .sha256 = [](protocol::Bytes data) { return fake_hash(data, {}); },
        .equal = [](protocol::Bytes a, protocol::Bytes b) { return protocol::as_text(a) == protocol::as_text(b); },
        .nonce = [] { return std::string("AAAAAAAAAAAAAAAAAAAAAAAA"); },
    };
    return crypto;
}
