// Both sides of SCRAM against peers that may say anything. The first byte chooses the side and the binding; the rest are messages, divided by
// newlines; a "\x01" in one stands for the nonce of the other side, so that more than the first message is reached.
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

std::vector<std::string> messages(std::string_view text, const std::string& nonce) {
    std::vector<std::string> all(1);
    for (const char c : text) {
        if (c == '\n') {
            all.emplace_back();
        } else if (c == '\x01') {
            all.back() += nonce;
        } else {
            all.back() += c;
        }
    }
    all.resize(3);
    return all;
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
    check(!salt.salt.empty() && salt.iterations >= 1 && salt.iterations <= max_scram_iterations);
    const ScramKeys keys = scram_keys(crypto, crypto.sha256(salt.salt));
    const std::string proof = client.final_message(keys);
    check(proof.find(",p=") != std::string::npos);
    // Nobody who does not know the key answers rightly but by chance, and 32 bytes are no chance.
    if (client.server_final(said[1])) check(said[1].size() == 2 + 44);
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
    if (server.client_final(said[1]) != Fault::none) return;
    const ScramSecret secret = scram_secret(crypto, crypto.sha256(as_bytes("secret")), salt);
    check(!server.proves(secret.stored_key).has_value());
}

void secrets_and_base64(std::string_view text) {
    if (const auto bytes = base64_decode(text)) check(base64_encode(*bytes) == text);
    check(base64_decode(base64_encode(as_bytes(text))) == Buffer(text.begin(), text.end()));
    if (const auto secret = parse_scram_secret(text)) check(!secret->salt.salt.empty() && secret->salt.iterations <= max_scram_iterations);
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
