// A login between two peers that may say anything. The first bytes choose the policy; what follows is one stream of messages, of which each
// goes to the side that the login waits for.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "fuzz/fake_crypto.hpp"
#include "protocol/login.hpp"

namespace {

using namespace protocol;
using Next = Login::Next;

void check(bool holds) {
    if (!holds) std::abort();
}

bool contains(const Buffer& buffer, std::string_view text) { return as_text(buffer).find(text) != std::string_view::npos; }

/// What a client was told, and must not be told.
void check_offer(const Buffer& to_client, const LoginPolicy& policy) {
    const auto text = as_text(to_client);
    const bool offer = text.starts_with("R") && text.size() > 9 && text[8] == 10;
    const bool may_offer_plus = policy.scram == ScramMode::terminate && !policy.client_end_point.empty();
    if (offer && !may_offer_plus) check(!contains(to_client, std::string_view("-PLUS\0", 6)));
}

Buffer first_message(bool plus, const LoginPolicy& policy) {
    const bool tell = plus || !policy.server_verified;
    const ScramClient client(policy.crypto, tell ? policy.server_end_point : Buffer(), plus);
    Buffer message;
    append_sasl_initial_response(message, client.mechanism(), client.first_message());
    return message;
}

LoginPolicy policy_of(std::uint8_t choice, const ScramUser& with_password, const ScramUser& with_secret) {
    LoginPolicy policy;
    policy.scram = static_cast<ScramMode>(choice & 3);
    policy.crypto = fake_crypto();
    policy.ask_at_once = (choice & 4) != 0;
    policy.password_is_safe = (choice & 8) != 0;
    if (choice & 16) policy.server_end_point.assign(32, 's');
    if (choice & 32) policy.client_end_point.assign(32, 'c');
    policy.user = (choice & 64) ? &with_password : (choice & 128) ? &with_secret : nullptr;
    policy.user_salt.assign(16, 'm');
    return policy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const ScramUser with_password{.password = Buffer(8, 'P'), .secret = {}};
    static const ScramUser with_secret{.password = {}, .secret = scram_secret(fake_crypto(), ScramKey(), {.salt = Buffer(16, 'm')})};
    const LoginPolicy policy = policy_of(data[0], with_password, with_secret);
    Login login(policy);
    MessageBuffer stream(std::min(max_client_login_message, max_server_login_message));
    stream.append(Bytes(data + 1, size - 1));
    while (login.next() == Next::read_server || login.next() == Next::read_client || login.next() == Next::derive_key) {
        LoginOutput out;
        if (login.next() == Next::derive_key) {
            const KeyDerivation derivation = login.take_derivation();
            check(derivation.salt.iterations >= 1 && derivation.salt.iterations <= max_scram_iterations);
            login.derived(fake_crypto().sha256(derivation.password), out);
            check(login.next() != Next::derive_key);
            continue;
        }
        const auto message = stream.next();
        if (!message) {
            if (!stream.oversized()) return 0;
            login.oversized();
            check(login.next() == Next::failed);
            break;
        }
        const bool from_server = login.next() == Next::read_server;
        const bool asked = !from_server && login.asking_password();
        from_server ? login.from_server(*message, out) : login.from_client(*message, out);
        check(login.next() != Next::failed || (out.to_client.empty() && out.to_server.empty()));
        check_offer(out.to_client, policy);
        check(policy.password_is_safe || !login.asking_password());
        // A password that we asked for goes nowhere: what the server gets instead does not depend on it.
        if (asked && !out.to_server.empty()) check(out.to_server == first_message(false, policy) || out.to_server == first_message(true, policy));
        if (asked) check(out.to_client.empty());
    }
    check((login.next() == Next::failed) == (login.fault() != Fault::none));
    check(login.next() != Next::established || login.authenticated());
    check(!login.refused_at_once() || !login.authenticated());
    if (login.key()) check(login.key()->key.size() >= 4 && login.key()->key.size() <= 256);
    return 0;
}
