// Logins where a certain kind of server is wanted, one after the other for one client that may say
// anything, as its servers may. The first byte chooses what is asked for, how SCRAM is crossed, and
// how many servers are not wanted; what follows is one stream of messages, of which each goes to
// the side that the login waits for.
#include <cstdlib>
#include <string>

#include "fuzz/fake_crypto.hpp"
#include "protocol/login.hpp"

namespace {

using namespace protocol;
using Next = Login::Next;

constexpr std::string_view secret = "known password";

void check(bool holds) {
    if (!holds) std::abort();
}

LoginPolicy policy_of(std::uint8_t choice, const ScramUser& user) {
    LoginPolicy policy;
    policy.question = (choice & 1) ? RoleQuestion::read_only : RoleQuestion::in_recovery;
    policy.scram = static_cast<ScramMode>((choice >> 1) & 3);
    policy.crypto = fake_crypto();
    policy.password_is_safe = true;
    policy.user = &user;
    policy.user_salt.salt.assign(16, 'm');
    return policy;
}

/// One login at one server, as far as the stream goes.
void play(Login& login, MessageBuffer& stream, bool is_repeated, const std::string& method) {
    while (login.next() == Next::read_server || login.next() == Next::read_client || login.next() == Next::derive_key) {
        LoginOutput out;
        check(!is_repeated || login.next() != Next::read_client);  // it has answered
        if (login.next() == Next::derive_key) {
            const KeyDerivation derivation = login.take_derivation();
            login.derived(fake_crypto().sha256(derivation.password), out);
        } else {
            const auto message = stream.next();
            if (!message) return;
            const bool was_let_in = login.authenticated();
            login.next() == Next::read_server ? login.from_server(*message, out) : login.from_client(*message, out);
            // From AuthenticationOk on nothing is heard, but why it comes to nothing.
            if (was_let_in) check(out.to_client.empty() || login.next() == Next::denied);
        }
        if (login.authenticated() && login.next() != Next::denied) check(out.to_client.empty());
        if (login.next() == Next::failed) check(out.to_client.empty() && out.to_server.empty());
        // What was told in clear to one server may be to the next, and nothing else.
        if (is_repeated && method != "password") check(as_text(out.to_server).find(secret) == std::string_view::npos);
        check(login.next() != Next::established);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const ScramUser user{.password = {secret.begin(), secret.end()}, .secret = {}};
    const LoginPolicy policy = policy_of(data[0], user);
    unsigned unwanted = (data[0] >> 3) & 3;
    MessageBuffer stream(std::min(max_client_login_message, max_server_login_message));
    stream.append(Bytes(data + 1, size - 1));
    std::optional<Login> login(std::in_place, policy);
    std::string method;
    for (bool is_repeated = false;;) {
        play(*login, stream, is_repeated, method);
        if (login->next() != Next::judge) return 0;
        check(login->authenticated());
        if (unwanted == 0) break;
        --unwanted;
        const bool can_be_repeated = login->can_be_repeated();
        const auto answers = login->take_answers();
        check(answers.has_value() == can_be_repeated);
        if (!answers) return 0;
        is_repeated = answers->was_asked;
        method = answers->auth_method;
        login.emplace(policy, *answers);
    }
    LoginOutput out;
    login->release(out);
    check(!out.to_client.empty() && out.to_server.empty());
    check(login->next() == Next::established || login->next() == Next::read_server);
    return 0;
}
