// Both sides of SCRAM against peers that may say anything. The first byte chooses the side and the
// binding; the rest are messages, divided by newlines. In them "\x01" stands for the nonce of the
// other side, and "\x02" for the proof or signature of one that knows the password: no fuzzer would
// find them.
#include <cstdlib>
#include <string>
#include <vector>

#include "fuzz/fake_crypto.hpp"
#include "protocol/base64.hpp"
#include "protocol/scram.hpp"

namespace {

using namespace protocol;

void check(bool holds) {
    if (!holds) std::abort();
}

/// `text` with every `mark` replaced.
std::string put(std::string_view text, char mark, const std::string& value) {
    std::string result;
    for (const char c : text) c == mark ? result += value : result += c;
    return result;
}

std::vector<std::string> messages(std::string_view text, const std::string& nonce) {
    std::vector<std::string> all(1);
    for (const char c : text) {
        if (c == '\n') {
            all.emplace_back();
        } else {
            all.back() += c;
        }
    }
    all.resize(3);
    for (std::string& message : all) message = put(message, '\x01', nonce);
    return all;
}

/// RFC 5802, section 3, a second time.
std::string signature(const ScramKey& server_key, const std::string& auth_message) {
    return base64_encode(fake_crypto().hmac_sha256(server_key, as_bytes(auth_message)));
}
std::string proof(const ScramKey& client_key, const std::string& auth_message) {
    ScramKey result = fake_crypto().hmac_sha256(fake_crypto().sha256(client_key), as_bytes(auth_message));
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::uint8_t>(result[i] ^ client_key[i]);
    return base64_encode(result);
}

void client(std::string_view text, bool plus) {
    const ScramCrypto& crypto = fake_crypto();
    ScramClient client(crypto, plus ? Buffer(32, 'c') : Buffer());
    const std::string nonce = crypto.nonce();
    check(client.first_message() == (plus ? "p=tls-server-end-point,," : "n,,") + std::string("n=,r=") + nonce);
    const auto said = messages(text, nonce);
    check(!client.server_final(said[1]));
    ScramSalt salt;
    if (client.server_first(said[0], salt) != Fault::none) return;
    check(!client.server_final(said[1]));
    check(!salt.salt.empty() && salt.iterations >= 1 && salt.iterations <= max_scram_iterations);
    const ScramKeys keys = scram_keys(crypto, crypto.sha256(salt.salt));
    const std::string last = client.final_message(keys);
    const std::string without_proof = last.substr(0, last.rfind(",p="));
    const std::string auth_message = "n=,r=" + nonce + "," + said[0] + "," + without_proof;
    check(last == without_proof + ",p=" + proof(keys.client_key, auth_message));
    const std::string right = "v=" + signature(keys.server_key, auth_message);
    const std::string answer = put(said[1], '\x02', right.substr(2));
    check(client.server_final(answer) == (answer == right || answer == right + ","));
}

void server(std::string_view text, bool plus) {
    const ScramCrypto& crypto = fake_crypto();
    const ScramSalt salt{.salt = Buffer(16, 'm')};
    ScramServer server(crypto, plus ? Buffer(32, 's') : Buffer(), salt);
    const auto said = messages(text, crypto.nonce());
    const bool chosen_plus = said[2].starts_with('P');
    char flag = 0;
    std::string reply;
    const Fault fault = server.client_first(chosen_plus ? scram_sha_256_plus : scram_sha_256, said[0], flag, reply);
    check((fault == Fault::none) == !reply.empty());
    if (fault != Fault::none) return;
    check(flag == 'n' || flag == 'y' || flag == 'p');
    check((flag == 'p') == chosen_plus);
    check(!(flag == 'y' && plus));
    const ScramKeys keys = scram_keys(crypto, crypto.sha256(as_bytes("secret")));
    const std::string first_bare = said[0].substr(said[0].find(',', said[0].find(',') + 1) + 1);
    const std::string without_proof = said[1].substr(0, said[1].rfind(",p="));
    const std::string auth_message = first_bare + "," + reply + "," + without_proof;
    const std::string right = without_proof + ",p=" + proof(keys.client_key, auth_message);
    const std::string last = put(said[1], '\x02', right.substr(without_proof.size() + 3));
    if (server.client_final(last) != Fault::none) return;
    check(server.proves(crypto.sha256(keys.client_key)) ==
          (last == right ? std::optional(keys.client_key) : std::nullopt));
    check(server.final_message(keys.server_key) ==
          "v=" + signature(keys.server_key, first_bare + "," + reply + "," + last.substr(0, last.rfind(",p="))));
}

void secrets_and_base64(std::string_view text) {
    if (const auto bytes = base64_decode(text)) check(base64_encode(*bytes) == text);
    check(base64_decode(base64_encode(as_bytes(text))) == Buffer(text.begin(), text.end()));
    if (const auto secret = parse_scram_secret(text))
        check(!secret->salt.salt.empty() && secret->salt.iterations <= max_scram_iterations);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = as_text(Bytes(data + 1, size - 1));
    const bool plus = (data[0] & 4) != 0;
    switch (data[0] & 3) {
        case 0: client(text, plus); break;
        case 1: server(text, plus); break;
        default: secrets_and_base64(text); break;
    }
    return 0;
}
