// A login between two peers that may say anything. The first byte chooses the policy; what follows
// is one stream of messages, of which each goes to the side that the login waits for. A message of
// the body "!" stands for what an honest peer, who knows the password, would say at this point: no
// fuzzer would find a proof.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "fuzz/fake_crypto.hpp"
#include "protocol/login.hpp"

namespace {

using namespace protocol;
using Next = Login::Next;

constexpr std::string_view password = "known password";

void check(bool holds) {
    if (!holds) std::abort();
}

Buffer bytes(std::string_view text) { return {text.begin(), text.end()}; }
bool contains(const Buffer& buffer, std::string_view text) {
    return as_text(buffer).find(text) != std::string_view::npos;
}
/// In place of PBKDF2.
ScramKey salted(Bytes given) { return fake_crypto().sha256(given); }

LoginPolicy policy_of(std::uint8_t choice, const ScramUser& with_password, const ScramUser& with_secret) {
    LoginPolicy policy;
    policy.scram = static_cast<ScramMode>(choice & 3);
    policy.crypto = fake_crypto();
    policy.ask_at_once = (choice & 4) != 0;
    policy.password_is_safe = (choice & 8) != 0;
    if (choice & 16) policy.server_end_point.assign(32, 's');
    if (choice & 32) policy.client_end_point.assign(32, 'c');
    policy.user = (choice & 64) ? &with_password : (choice & 128) ? &with_secret : nullptr;
    policy.server_verified = (choice & 192) == 192;
    policy.user_salt.salt.assign(16, 'm');
    return policy;
}

/// A client and a server that know the password, and answer what they were sent last.
class Honest {
   public:
    explicit Honest(const LoginPolicy& policy) : policy_(policy) {}

    void sent(const LoginOutput& out) {
        if (!out.to_client.empty()) to_client_ = out.to_client;
        if (!out.to_server.empty()) to_server_ = out.to_server;
    }

    Buffer client() {
        Buffer answer;
        const std::string_view asked = as_text(to_client_);
        if (asked.size() < 9 || asked[0] != 'R') return answer;
        if (asked[8] == 3) append_sasl_response(answer, std::string(password) + '\0');
        if (asked[8] == 10) {
            client_.emplace(policy_.crypto, policy_.client_end_point, contains(to_client_, scram_sha_256_plus));
            append_sasl_initial_response(answer, client_->mechanism(), client_->first_message());
        }
        ScramSalt salt;
        if (asked[8] == 11 && client_ && client_->server_first(asked.substr(9), salt) == Fault::none)
            append_sasl_response(answer, client_->final_message(keys()));
        return answer;
    }

    Buffer server() {
        Buffer answer;
        const Bytes said = Bytes(to_server_).subspan(std::min(message_header_size, to_server_.size()));
        const auto first = parse_sasl_initial_response(said);
        if (first && first->data) {
            server_.emplace(policy_.crypto,
                            first->mechanism == scram_sha_256_plus ? policy_.server_end_point : Buffer(), salt());
            char flag = 0;
            std::string reply;
            if (server_->client_first(first->mechanism, *first->data, flag, reply) == Fault::none)
                append_authentication(answer, AuthenticationCode::sasl_continue, as_bytes(reply));
        } else if (server_ && server_->client_final(as_text(said)) == Fault::none) {
            append_authentication(answer, AuthenticationCode::sasl_final,
                                  as_bytes(server_->final_message(keys().server_key)));
            server_.reset();
        } else {
            append_authentication(answer, AuthenticationCode::ok);
        }
        return answer;
    }

   private:
    static ScramSalt salt() { return {.salt = Buffer(16, 'm')}; }
    static ScramKeys keys() { return scram_keys(fake_crypto(), salted(as_bytes(password))); }

    const LoginPolicy& policy_;
    std::optional<ScramClient> client_;
    std::optional<ScramServer> server_;
    Buffer to_client_;
    Buffer to_server_;
};

/// What a client was told, and must not be told.
void check_offer(const Buffer& to_client, const LoginPolicy& policy) {
    const auto text = as_text(to_client);
    const bool offer = text.starts_with("R") && text.size() > 9 && text[8] == 10;
    const bool may_offer_plus = policy.scram == ScramMode::terminate && !policy.client_end_point.empty();
    if (offer && !may_offer_plus) check(!contains(to_client, std::string_view("-PLUS\0", 6)));
}

/// What we tell the server ourselves, whatever the client said.
void check_first_message(const Buffer& to_server, const LoginPolicy& policy) {
    const auto first = parse_sasl_initial_response(Bytes(to_server).subspan(message_header_size));
    check(to_server[0] == 'p' && first && first->data);
    const std::string_view gs2 = first->mechanism == scram_sha_256_plus ? "p=tls-server-end-point,,"
                                 : policy.server_verified || policy.server_end_point.empty() ? "n,,"
                                                                                             : "y,,";
    check(*first->data == std::string(gs2) + "n=,r=" + fake_crypto().nonce());
}

void check_end(const Login& login, const LoginPolicy& policy) {
    check((login.next() == Next::failed) == (login.fault() != Fault::none));
    check(login.next() != Next::established || login.authenticated());
    check(!login.denied_at_once() || !login.authenticated());
    if (login.auth_bridge() == AuthBridge::terminate && login.authenticated()) check(policy.user != nullptr);
    if (login.key()) check(login.key()->key.size() >= 4 && login.key()->key.size() <= 256);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const ScramUser with_password{.password = bytes(password), .secret = {}};
    static const ScramUser with_secret{
        .password = {}, .secret = scram_secret(fake_crypto(), salted(as_bytes(password)), {.salt = Buffer(16, 'm')})};
    const LoginPolicy policy = policy_of(data[0], with_password, with_secret);
    Login login(policy);
    Honest honest(policy);
    MessageBuffer stream(std::min(max_client_login_message, max_server_login_message));
    stream.append(Bytes(data + 1, size - 1));
    while (login.next() == Next::read_server || login.next() == Next::read_client || login.next() == Next::derive_key) {
        LoginOutput out;
        if (login.next() == Next::derive_key) {
            const KeyDerivation derivation = login.take_derivation();
            check(derivation.salt.iterations >= 1 && derivation.salt.iterations <= max_scram_iterations);
            login.derived(salted(derivation.password), out);
            check(login.next() != Next::derive_key && out.to_client.empty());
            check(out.to_server.empty() == (login.next() == Next::failed) && !contains(out.to_server, password));
            honest.sent(out);
            continue;
        }
        auto message = stream.next();
        if (!message) {
            if (!stream.oversized()) return 0;
            login.oversized();
            check(login.next() == Next::failed);
            break;
        }
        const bool from_server = login.next() == Next::read_server;
        MessageBuffer spoken(max_client_login_message);
        const bool by_honest = as_text(message->body) == "!";
        if (by_honest) {
            spoken.append(from_server ? honest.server() : honest.client());
            message = spoken.next();
            if (!message) return 0;
        }
        const bool asked = login.asking_password();
        from_server ? login.from_server(*message, out) : login.from_client(*message, out);
        honest.sent(out);
        check(login.next() != Next::failed || (out.to_client.empty() && out.to_server.empty()));
        check_offer(out.to_client, policy);
        check(policy.password_is_safe || !login.asking_password());
        check(policy.scram != ScramMode::passthrough || !login.asking_password());
        // A password that we asked for goes nowhere: what the server gets does not depend on it.
        if (asked && !out.to_server.empty()) check_first_message(out.to_server, policy);
        if (asked) check(out.to_client.empty());
        if (asked && by_honest) check(!contains(out.to_server, password));
    }
    check_end(login, policy);
    return 0;
}
