// A server that may say anything to a login of our own and to what it is asked then. The first byte
// chooses the policy; what follows is its messages. One of the body "!" stands for what an honest
// server, who knows the password, would say to SCRAM.
#include <cstdlib>

#include "fuzz/fake_crypto.hpp"
#include "protocol/host_state.hpp"
#include "protocol/login.hpp"
#include "protocol/own_login.hpp"
#include "protocol/session_list.hpp"
#include "protocol/simple_query.hpp"

namespace {

using namespace protocol;
using Next = OwnLogin::Next;

constexpr std::string_view password = "known password";

void check(bool holds) {
    if (!holds) std::abort();
}

Buffer bytes(std::string_view text) { return {text.begin(), text.end()}; }

OwnLoginPolicy policy_of(std::uint8_t choice) {
    OwnLoginPolicy policy{.user = "monitor",
                          .database = "postgres",
                          .application_name = "pgairlock monitor",
                          .password = (choice & 1) ? bytes(password) : Buffer(),
                          .crypto = fake_crypto(),
                          .server_end_point = {},
                          .server_verified = (choice & 4) != 0,
                          .may_tell = (choice & 8) != 0};
    if (choice & 2) policy.server_end_point.assign(32, 's');
    return policy;
}

/// One that knows the password.
class Honest {
   public:
    explicit Honest(const OwnLoginPolicy& policy) : policy_(policy) {}

    void hear(const Buffer& out) {
        MessageBuffer client(max_client_login_message);
        client.append(out);
        const auto message = client.next();
        if (!message || message->type != 'p') return;
        std::string reply;
        char flag = 0;
        if (!server_) {
            const auto first = parse_sasl_initial_response(message->body);
            if (!first || !first->data) return;
            has_begun_ = true;
            server_.emplace(policy_.crypto, policy_.server_end_point,
                            ScramSalt{.salt = bytes("salt"), .iterations = 1});
            // One that offered channel binding notices when somebody took that out of its offer.
            if (server_->client_first(first->mechanism, *first->data, flag, reply) != Fault::none) return;
            answer_ = authentication(AuthenticationCode::sasl_continue, reply);
        } else if (server_->client_final(as_text(message->body)) == Fault::none) {
            const ScramKeys keys = scram_keys(policy_.crypto, policy_.crypto.sha256(policy_.password));
            answer_ = authentication(AuthenticationCode::sasl_final, server_->final_message(keys.server_key));
        }
    }
    const Buffer& answer() const noexcept { return answer_; }
    bool has_begun() const noexcept { return has_begun_; }

   private:
    static Buffer authentication(AuthenticationCode code, const std::string& data) {
        Buffer out;
        append_authentication(out, code, as_bytes(data));
        return out;
    }

    const OwnLoginPolicy& policy_;
    std::optional<ScramServer> server_;
    Buffer answer_;
    bool has_begun_ = false;
};

void log_in(OwnLogin& login, const OwnLoginPolicy& policy, MessageBuffer& from_server) {
    Honest honest(policy);
    bool may_be_told = false;
    int honest_answers = 0;
    while (login.next() == Next::read_server) {
        auto message = from_server.next();
        if (!message) {
            if (!from_server.oversized()) return;
            login.oversized();
            break;
        }
        const Buffer answer = honest.answer();
        if (message->type == 'R' && as_text(message->body) == "!" && !answer.empty()) {
            message->body = Bytes(answer).subspan(message_header_size);
            message->whole = answer;
            ++honest_answers;
        }
        const Bytes code = message->body;
        const bool in_clear = message->type == 'R' && Reader(code).u32() == 3;
        may_be_told = may_be_told || (in_clear && policy.may_tell);
        Buffer out;
        login.from_server(*message, out);
        check(as_text(out).find(password) == std::string_view::npos || may_be_told);
        if (login.next() == Next::derive_key) {
            check(login.salt().iterations <= max_scram_iterations);
            login.derived(policy.crypto.sha256(policy.password), out);
        }
        honest.hear(out);
    }
    // Who has not proved that it knows the password is not logged in to.
    check(login.next() != Next::ready || !honest.has_begun() || honest_answers >= 2);
    check(login.failure().text.find(password) == std::string::npos || !may_be_told);
}

void ask(MessageBuffer& from_server) {
    const AnswerBounds bounds{.bytes = 4096, .rows = 8};
    SimpleQuery query(bounds);
    while (query.next() == SimpleQuery::Next::read_server) {
        const auto message = from_server.next();
        if (!message) return;
        query.from_server(*message);
        check(query.rows().size() <= bounds.rows);
    }
    static_cast<void>(host_state(query.rows()));
    if (const auto list = session_list(query.rows())) check(list->sessions.size() <= query.rows().size());
    if (const auto instances = aurora_instances(query.rows())) check(instances->size() <= query.rows().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const OwnLoginPolicy policy = policy_of(data[0]);
    OwnLogin login(policy);
    MessageBuffer from_server(max_server_login_message);
    from_server.append(Bytes(data + 1, size - 1));
    log_in(login, policy, from_server);
    for (int i = 0; i < 4 && login.next() == Next::ready; ++i) ask(from_server);
    return 0;
}
