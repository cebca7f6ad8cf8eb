#include "protocol/scram.hpp"

#include <algorithm>
#include <charconv>

#include "protocol/base64.hpp"

namespace protocol {
namespace {

/// PostgreSQL's is 16 bytes.
constexpr std::size_t max_salt = 1024;
constexpr std::string_view end_point_flag = "p=tls-server-end-point";

/// The value of the attribute that must come next ("r=..."), and the rest behind its comma;
/// nullopt: another attribute.
std::optional<std::string_view> take_attribute(std::string_view& message, char name) {
    if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
    const std::size_t comma = message.find(',');
    const std::string_view value = message.substr(2, comma == std::string_view::npos ? comma : comma - 2);
    message = comma == std::string_view::npos ? std::string_view() : message.substr(comma + 1);
    return value;
}

/// Up to `separator`, which is consumed; nullopt: there is none.
std::optional<std::string_view> take_until(std::string_view& text, char separator) {
    const std::size_t end = text.find(separator);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(end + 1);
    return taken;
}

std::optional<ScramSalt> parse_salt(std::string_view salt, std::string_view iterations) {
    ScramSalt parsed;
    const auto bytes = base64_decode(salt);
    const auto [end, error] =
        std::from_chars(iterations.data(), iterations.data() + iterations.size(), parsed.iterations);
    const bool whole_number = error == std::errc() && end == iterations.data() + iterations.size();
    if (!bytes || bytes->empty() || bytes->size() > max_salt || !whole_number) return std::nullopt;
    if (parsed.iterations < 1) return std::nullopt;
    parsed.salt = *bytes;
    return parsed;
}

std::optional<ScramKey> parse_key(std::string_view text) {
    const auto bytes = base64_decode(text);
    ScramKey key;
    if (!bytes || bytes->size() != key.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), key.begin());
    return key;
}

/// RFC 5802, section 7: printable ASCII but ",".
bool is_nonce(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~' && c != ','; });
}

ScramKey exclusive_or(const ScramKey& a, const ScramKey& b) {
    ScramKey out;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
    return out;
}

/// The c= attribute: proves that both saw the same gs2 header and, with -PLUS, the same
/// certificate.
std::string channel_binding(std::string_view gs2_header, const Buffer& end_point) {
    Buffer input(gs2_header.begin(), gs2_header.end());
    if (gs2_header.starts_with('p')) input.insert(input.end(), end_point.begin(), end_point.end());
    return "c=" + base64_encode(input);
}

}  // namespace

ScramKeys scram_keys(const ScramCrypto& crypto, const ScramKey& salted_password) {
    return {.client_key = crypto.hmac_sha256(salted_password, as_bytes("Client Key")),
            .server_key = crypto.hmac_sha256(salted_password, as_bytes("Server Key"))};
}

ScramSecret scram_secret(const ScramCrypto& crypto, const ScramKey& salted_password, ScramSalt salt) {
    const ScramKeys keys = scram_keys(crypto, salted_password);
    return {.salt = std::move(salt), .stored_key = crypto.sha256(keys.client_key), .server_key = keys.server_key};
}

std::optional<ScramSecret> parse_scram_secret(std::string_view text) {
    const auto scheme = take_until(text, '$');
    const auto iterations = take_until(text, ':');
    const auto salt_text = take_until(text, '$');
    const auto stored_text = take_until(text, ':');
    if (!scheme || *scheme != scram_sha_256 || !iterations || !salt_text || !stored_text) return std::nullopt;
    auto salt = parse_salt(*salt_text, *iterations);
    const auto stored_key = parse_key(*stored_text);
    const auto server_key = parse_key(text);
    if (!salt || salt->iterations > max_scram_iterations || !stored_key || !server_key) return std::nullopt;
    return ScramSecret{.salt = std::move(*salt), .stored_key = *stored_key, .server_key = *server_key};
}

// --- The client's side

ScramClient::ScramClient(const ScramCrypto& crypto, Buffer end_point, bool plus)
    : crypto_(crypto), end_point_(std::move(end_point)), plus_(plus && !end_point_.empty()), nonce_(crypto.nonce()) {}

std::string ScramClient::gs2_header() const {
    return (plus_ ? std::string(end_point_flag) : end_point_.empty() ? "n" : "y") + ",,";
}

/// PostgreSQL takes the user's name from the StartupMessage and ignores this one.
std::string ScramClient::first_bare() const { return "n=,r=" + nonce_; }

std::string ScramClient::first_message() const { return gs2_header() + first_bare(); }

Fault ScramClient::server_first(std::string_view message, ScramSalt& salt) {
    if (!server_first_.empty()) return Fault::scram_message;
    server_first_ = message;
    const auto nonce = take_attribute(message, 'r');
    const auto salt_text = take_attribute(message, 's');
    const auto iterations = take_attribute(message, 'i');
    // The server's part of the nonce must not be missing: it is what makes a replayed proof
    // worthless.
    if (!nonce || !salt_text || !iterations || nonce->size() <= nonce_.size() || !nonce->starts_with(nonce_))
        return Fault::scram_message;
    auto parsed = parse_salt(*salt_text, *iterations);
    if (!parsed) return Fault::scram_message;
    if (parsed->iterations > max_scram_iterations) return Fault::scram_iterations;
    full_nonce_ = *nonce;
    salt = std::move(*parsed);
    return Fault::none;
}

std::string ScramClient::final_message(const ScramKeys& keys) {
    const std::string without_proof = channel_binding(gs2_header(), end_point_) + ",r=" + full_nonce_;
    const std::string auth_message = first_bare() + "," + server_first_ + "," + without_proof;
    const ScramKey stored_key = crypto_.sha256(keys.client_key);
    const ScramKey proof = exclusive_or(keys.client_key, crypto_.hmac_sha256(stored_key, as_bytes(auth_message)));
    server_signature_ = crypto_.hmac_sha256(keys.server_key, as_bytes(auth_message));
    return without_proof + ",p=" + base64_encode(proof);
}

bool ScramClient::server_final(std::string_view message) const {
    const auto text = take_attribute(message, 'v');
    if (!text || !message.empty()) return false;
    const auto signature = parse_key(*text);
    return signature && server_signature_ && crypto_.equal(*signature, *server_signature_);
}

// --- The server's side

ScramServer::ScramServer(const ScramCrypto& crypto, Buffer end_point, ScramSalt salt)
    : crypto_(crypto), end_point_(std::move(end_point)), salt_(std::move(salt)) {}

/// PostgreSQL's rules: src/backend/libpq/auth-scram.c, read_client_first_message.
Fault ScramServer::client_first(std::string_view mechanism, std::string_view message, char& flag, std::string& reply) {
    const bool plus = mechanism == scram_sha_256_plus;
    if (mechanism != scram_sha_256 && !(plus && offers_plus())) return Fault::sasl_mechanism;
    const std::string_view whole = message;
    const auto binding = take_until(message, ',');
    const auto authorization = take_until(message, ',');
    if (!binding || !authorization || !authorization->empty()) return Fault::sasl_message;
    if (*binding != "n" && *binding != "y" && *binding != end_point_flag) return Fault::sasl_message;
    flag = binding->front();
    if ((flag == 'p') != plus) return Fault::sasl_message;
    // "You cannot, so I did not": but we did offer it, so somebody between us took it away (RFC
    // 5802, section 6).
    if (flag == 'y' && offers_plus()) return Fault::channel_binding_downgrade;

    gs2_header_ = whole.substr(0, whole.size() - message.size());
    first_bare_ = message;
    const auto name = take_attribute(message, 'n');
    const auto nonce = take_attribute(message, 'r');
    if (!name || !nonce || !is_nonce(*nonce)) return Fault::sasl_message;
    nonce_ = std::string(*nonce) + crypto_.nonce();
    server_first_ = "r=" + nonce_ + ",s=" + base64_encode(salt_.salt) + ",i=" + std::to_string(salt_.iterations);
    reply = server_first_;
    return Fault::none;
}

Fault ScramServer::client_final(std::string_view message) {
    const std::size_t proof_at = message.rfind(",p=");
    if (proof_at == std::string_view::npos) return Fault::sasl_message;
    without_proof_ = message.substr(0, proof_at);
    const auto proof = parse_key(message.substr(proof_at + 3));
    std::string_view rest = without_proof_;
    const auto binding = take_attribute(rest, 'c');
    const auto nonce = take_attribute(rest, 'r');
    if (!binding || !nonce || !proof) return Fault::sasl_message;
    proof_ = *proof;
    if (*nonce != nonce_) return Fault::sasl_message;
    const std::string expected = channel_binding(gs2_header_, end_point_);
    if (crypto_.equal(as_bytes(*binding), as_bytes(expected).subspan(2))) return Fault::none;
    return gs2_header_.starts_with('p') ? Fault::channel_binding_failed : Fault::sasl_message;
}

std::optional<ScramKey> ScramServer::proves(const ScramKey& stored_key) const {
    const std::string auth_message = first_bare_ + "," + server_first_ + "," + without_proof_;
    const ScramKey client_key = exclusive_or(proof_, crypto_.hmac_sha256(stored_key, as_bytes(auth_message)));
    if (!crypto_.equal(crypto_.sha256(client_key), stored_key)) return std::nullopt;
    return client_key;
}

std::string ScramServer::final_message(const ScramKey& server_key) const {
    const std::string auth_message = first_bare_ + "," + server_first_ + "," + without_proof_;
    return "v=" + base64_encode(crypto_.hmac_sha256(server_key, as_bytes(auth_message)));
}

}  // namespace protocol
