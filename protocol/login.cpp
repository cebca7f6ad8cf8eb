#include "protocol/login.hpp"

#include <algorithm>

namespace protocol {
namespace {

constexpr std::string_view plus_suffix = "-PLUS";

void pass(const Message& message, Buffer& to) { to.insert(to.end(), message.whole.begin(), message.whole.end()); }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

}  // namespace

void Login::from_server(const Message& message, Buffer& to_client) {
    ++server_messages_;
    server_bytes_ += message.whole.size();
    if (server_bytes_ > max_server_login_total) return fail(Fault::server_message_length);
    switch (message.type) {
        case 'R': return authentication(message, to_client);
        case 'E':
            server_error_ = parse_error_response(message.body);
            pass(message, to_client);
            next_ = Next::refused;
            return;
        case 'K':
            key_ = parse_backend_key_data(message.body);
            pass(message, to_client);
            return;
        case 'Z':
            if (!authenticated_) return fail(Fault::server_message);
            pass(message, to_client);
            next_ = Next::established;
            return;
        case 'N':  // NoticeResponse
        case 'S':  // ParameterStatus
        case 'v':  // NegotiateProtocolVersion
            pass(message, to_client);
            return;
        default: return fail(Fault::server_message);
    }
}

void Login::from_client(const Message& message, Buffer& to_server) {
    if (message.type != 'p') return fail(Fault::client_message);
    if (choosing_mechanism_) {
        sasl_choice(message);
    } else if (awaiting_first_message_) {
        judge_channel_binding(message.body.empty() ? '\0' : static_cast<char>(message.body[0]));
    }
    if (next_ == Next::failed) return;
    pass(message, to_server);
    next_ = Next::read_server;
}

void Login::authentication(const Message& message, Buffer& to_client) {
    Reader reader(message.body);
    const auto code = static_cast<AuthenticationCode>(reader.u32());
    if (!reader.ok() || authenticated_) return fail(Fault::server_message);
    switch (code) {
        case AuthenticationCode::ok:
            authenticated_ = true;
            if (auth_method_.empty()) auth_method_ = "cert/trust";
            return pass(message, to_client);
        case AuthenticationCode::sasl: return sasl_offer(message, to_client);
        case AuthenticationCode::sasl_final: return pass(message, to_client);
        case AuthenticationCode::cleartext_password: auth_method_ = "password"; break;
        case AuthenticationCode::md5_password: auth_method_ = "md5"; break;
        case AuthenticationCode::gss:
        case AuthenticationCode::gss_continue:
        case AuthenticationCode::sspi: auth_method_ = "gss"; break;
        case AuthenticationCode::sasl_continue: break;
        default: return fail(Fault::server_message);
    }
    pass(message, to_client);
    next_ = Next::read_client;
}

void Login::sasl_offer(const Message& message, Buffer& to_client) {
    auto offer = parse_authentication_sasl(message.body);
    if (!offer) return fail(Fault::server_message);
    std::erase_if(offer->mechanisms, [](const std::string& m) { return m.ends_with(plus_suffix); });
    if (offer->mechanisms.empty()) return fail(Fault::sasl_nothing_left);
    offered_ = std::move(*offer);
    const Buffer out = serialize(offered_);
    to_client.insert(to_client.end(), out.begin(), out.end());
    choosing_mechanism_ = true;
    next_ = Next::read_client;
}

void Login::sasl_choice(const Message& message) {
    const auto response = parse_sasl_initial_response(message.body);
    if (!response) return fail(Fault::sasl_message);
    const auto& mechanisms = offered_.mechanisms;
    if (std::find(mechanisms.begin(), mechanisms.end(), response->mechanism) == mechanisms.end()) return fail(Fault::sasl_mechanism);
    auth_method_ = lower(response->mechanism);
    choosing_mechanism_ = false;
    awaiting_first_message_ = response->channel_binding == 0;
    if (!awaiting_first_message_) judge_channel_binding(response->channel_binding);
}

void Login::judge_channel_binding(char flag) {
    awaiting_first_message_ = false;
    channel_binding_ = flag;
    // 'p' without our having offered -PLUS breaks RFC 5802; 'y' says "I could, you could not": the server knows better and refuses.
    if (channel_binding_ == 'p') return fail(Fault::sasl_message);
    if (channel_binding_ == 'y' && server_encrypted_) return fail(Fault::channel_binding_hidden);
}

void Login::fail(Fault fault) noexcept {
    fault_ = fault;
    next_ = Next::failed;
}

}  // namespace protocol
