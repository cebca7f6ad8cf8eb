#include "protocol/own_login.hpp"

#include "protocol/login.hpp"
#include "protocol/secret_repeat.hpp"
#include "protocol/startup.hpp"

namespace protocol {

// What it reads it reads as it is: a name may be in no encoding, and a server that is to convert it
// answers with an error.
Buffer OwnLogin::startup() const {
    return serialize(StartupMessage{.version = 3 << 16,
                                    .parameters = {{"user", policy_.user},
                                                   {"database", policy_.database},
                                                   {"application_name", policy_.application_name},
                                                   {"client_encoding", "SQL_ASCII"}}});
}

void OwnLogin::from_server(const Message& message, Buffer& out) {
    server_bytes_ += message.whole.size();
    if (server_bytes_ > max_server_login_total) return fail(Fault::server_message_length);
    switch (message.type) {
        case 'E': {
            const ErrorResponse error = parse_error_response(message.body);
            // What a server was told it may repeat.
            const bool repeats = told_ && repeats_secret(error.message, as_text(policy_.password));
            const bool has_sqlstate =
                is_sqlstate(error.sqlstate) && !(told_ && is_part_of_secret(error.sqlstate, as_text(policy_.password)));
            failure_ = {.sqlstate = has_sqlstate ? error.sqlstate : "", .text = repeats ? "" : error.message};
            next_ = Next::failed;
            return;
        }
        case 'N': return;
        case 'R': return authentication(message, out);
        case 'S':
            if (const HostRole told = told_role(message.body); told != HostRole::unknown) host_role_ = told;
            return;
        case 'K': return;
        case 'Z':
            if (!authenticated_) return fail(Fault::server_message);
            next_ = Next::ready;
            return;
        default: return fail(Fault::server_message);
    }
}

void OwnLogin::authentication(const Message& message, Buffer& out) {
    Reader reader(message.body);
    const auto code = static_cast<AuthenticationCode>(reader.u32());
    if (!reader.ok() || authenticated_) return fail(Fault::server_message);
    if (code == AuthenticationCode::ok) {
        if (scram_ && !server_proved_) return fail(Fault::scram_signature);
        authenticated_ = true;
        return;
    }
    if (scram_) return scram(code, as_text(reader.rest()));
    if (told_) return fail(Fault::server_message);
    switch (code) {
        case AuthenticationCode::sasl: return begin_scram(message, out);
        case AuthenticationCode::cleartext_password: return tell_password(out);
        case AuthenticationCode::md5_password:
            return refuse(
                "the server asks for the password's MD5 digest, which it is not told: set the password anew "
                "with password_encryption = 'scram-sha-256'");
        default: return refuse("the server asks for a kind of authentication that is not known here");
    }
}

void OwnLogin::begin_scram(const Message& message, Buffer& out) {
    const auto offered = parse_authentication_sasl(message.body);
    if (!offered) return fail(Fault::server_message);
    if (policy_.password.empty()) return refuse("the server asks for a password, and there is none");
    const bool plus = offered->offers(scram_sha_256_plus) && !policy_.server_end_point.empty();
    if (!plus && !offered->offers(scram_sha_256)) return fail(Fault::sasl_nothing_left);
    // As Login does: 'y' lets a server notice that its offer was changed on the way; where that
    // cannot be, 'n' also passes a server that is a proxy like us.
    const bool tell = plus || !policy_.server_verified;
    scram_.emplace(policy_.crypto, tell ? policy_.server_end_point : Buffer(), plus);
    append_sasl_initial_response(out, scram_->mechanism(), scram_->first_message());
}

/// Once it has begun, the server may not fall back to asking for something weaker.
void OwnLogin::scram(AuthenticationCode code, std::string_view data) {
    if (code == AuthenticationCode::sasl_continue) {
        const Fault fault = scram_->server_first(data, salt_);
        if (fault != Fault::none) return fail(fault);
        next_ = Next::derive_key;
    } else if (code == AuthenticationCode::sasl_final) {
        server_proved_ = scram_->server_final(data);
        if (!server_proved_) fail(Fault::scram_signature);
    } else {
        fail(Fault::server_message);
    }
}

void OwnLogin::derived(const ScramKey& salted_password, Buffer& out) {
    append_sasl_response(out, scram_->final_message(scram_keys(policy_.crypto, salted_password)));
    next_ = Next::read_server;
}

void OwnLogin::tell_password(Buffer& out) {
    if (policy_.password.empty()) return refuse("the server asks for a password, and there is none");
    if (!policy_.may_tell)
        return refuse("the server asks for the password in clear, and its certificate is not verified");
    told_ = true;
    Writer writer(out);
    writer.u8('p');
    const std::size_t length = writer.begin_length();
    writer.cstring(as_text(policy_.password));
    writer.end_length(length);
}

void OwnLogin::fail(Fault fault) {
    failure_ = {.sqlstate = std::string(sqlstate(fault)), .text = std::string(message(fault))};
    next_ = Next::failed;
}

/// We do not do what the server wants.
void OwnLogin::refuse(std::string text) {
    failure_ = {.sqlstate = "28000", .text = std::move(text)};
    next_ = Next::failed;
}

}  // namespace protocol
