#include "tls/scram_crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stringprep.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "protocol/base64.hpp"
#include "tls/certificates.hpp"

namespace tls {
namespace {

using protocol::Buffer;
using protocol::Bytes;
using protocol::ScramKey;

void demand(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(take_openssl_error(what));
}

ScramKey hmac_sha256(Bytes key, Bytes data) {
    ScramKey out;
    unsigned size = 0;
    demand(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size) !=
               nullptr,
           "HMAC failed");
    return out;
}

ScramKey sha256(Bytes data) {
    ScramKey out;
    demand(EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1, "SHA-256 failed");
    return out;
}

bool equal(Bytes a, Bytes b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string nonce() {
    std::array<std::uint8_t, 18> bytes{};
    demand(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no random bytes");
    return protocol::base64_encode(bytes);
}

/// RFC 4013 in PostgreSQL's order: what is prohibited is looked for before the normalisation, not
/// after it (pg_saslprep in src/common/saslprep.c). The secrets that its servers keep were made
/// that way. So: libidn's own steps, that one last.
const Stringprep_profile* saslprep_of_postgresql() {
    static const std::vector<Stringprep_profile> steps = [] {
        std::vector<Stringprep_profile> ordered;
        const Stringprep_profile* step = stringprep_saslprep;
        while (step->operation != 0) ordered.push_back(*step++);
        std::stable_partition(ordered.begin(), ordered.end(),
                              [](const auto& s) { return s.operation != STRINGPREP_NFKC; });
        ordered.push_back(*step);  // the end
        return ordered;
    }();
    return steps.data();
}

bool is_plain(std::uint8_t c) { return c < 0x80; }

/// ASCII is its own SASLprep, but for control characters, which PostgreSQL leaves alone as well.
Buffer saslprep(Bytes password) {
    const Buffer raw(password.begin(), password.end());
    if (std::all_of(raw.begin(), raw.end(), is_plain) || std::find(raw.begin(), raw.end(), 0) != raw.end()) return raw;
    // In place: the normalisation makes at most 11 bytes of one (U+FDFA).
    Buffer text(raw);
    text.resize(raw.size() * 11 + 1);
    char* const characters = reinterpret_cast<char*>(text.data());
    const int result = stringprep(characters, text.size(), STRINGPREP_NO_UNASSIGNED, saslprep_of_postgresql());
    if (result != STRINGPREP_OK || *characters == '\0') return raw;
    text.resize(std::string_view(characters).size());
    return text;
}

}  // namespace

const protocol::ScramCrypto& scram_crypto() noexcept {
    static constexpr protocol::ScramCrypto crypto{
        .hmac_sha256 = hmac_sha256, .sha256 = sha256, .equal = equal, .nonce = nonce};
    return crypto;
}

ScramKey salted_password(Bytes password, const protocol::ScramSalt& salt) {
    const Buffer prepared = saslprep(password);
    ScramKey out;
    demand(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(prepared.data()), static_cast<int>(prepared.size()),
                             salt.salt.data(), static_cast<int>(salt.salt.size()), static_cast<int>(salt.iterations),
                             EVP_sha256(), static_cast<int>(out.size()), out.data()) == 1,
           "PBKDF2 failed");
    return out;
}

Buffer end_point_hash(const X509& certificate) {
    int digest_nid = NID_undef;
    auto* const leaf = const_cast<X509*>(&certificate);  // caches what it parses
    const bool known = X509_get_signature_info(leaf, &digest_nid, nullptr, nullptr, nullptr) == 1;
    if (digest_nid == NID_md5 || digest_nid == NID_sha1) digest_nid = NID_sha256;
    const EVP_MD* const digest = known ? EVP_get_digestbynid(digest_nid) : nullptr;
    ERR_clear_error();
    if (!digest) return {};
    Buffer hash(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    demand(X509_digest(&certificate, digest, hash.data(), &size) == 1, "certificate digest failed");
    hash.resize(size);
    return hash;
}

}  // namespace tls
