#include "protocol/login.hpp"

#include <algorithm>
#include <utility>

#include "protocol/secret_repeat.hpp"

namespace protocol {
namespace {

constexpr std::string_view plus_suffix = "-PLUS";
constexpr std::string_view scram_prefix = "SCRAM-";
constexpr std::string_view oauth_bearer = "OAUTHBEARER";
/// RFC 4422, section 3.1, has 20; a server may offer longer ones.
constexpr std::size_t max_method = 63;

void pass(const Message& message, Buffer& to) { to.insert(to.end(), message.whole.begin(), message.whole.end()); }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

}  // namespace

Login::Login(LoginPolicy policy, ClientAnswers answers)
    : policy_(std::move(policy)),
      channel_binding_(answers.channel_binding),
      auth_bridge_(answers.auth_bridge),
      answers_(std::move(answers)),
      answered_elsewhere_(true),
      user_keys_(answers_.user_keys),
      user_keys_salt_(answers_.user_keys_salt),
      server_final_(answers_.server_final) {
    if (answers_.auth_method == "password") told_in_clear_ = as_text(answers_.password);
}

void Login::from_server(const Message& message, LoginOutput& out) {
    ++server_messages_;
    server_bytes_ += message.whole.size();
    if (!authenticated_ && server_bytes_ > max_server_login_total) return fail(Fault::server_message_length);
    switch (message.type) {
        case 'R': return authentication(message, out);
        case 'T':  // RowDescription, DataRow, CommandComplete: of our own query
        case 'D':
        case 'C':
            if (!asking_) return fail(Fault::server_message);
            if (message.type == 'D') take_answer(message);
            return;
        case 'E':
            if (asking_) return;  // then the answer is that there is none
            server_error_ = parse_error_response(message.body);
            out.to_client.insert(out.to_client.end(), held_.begin(), held_.end());
            pass(message, out.to_client);
            next_ = Next::denied;
            return;
        case 'K': key_ = parse_backend_key_data(message.body); break;
        case 'Z': return ready(message, out);
        case 'S':  // ParameterStatus
            if (const HostRole role = told_role(message.body); role != HostRole::unknown) host_role_ = role;
            if (const auto read_only = told_read_only(message.body)) default_read_only_ = read_only;
            break;
        case 'N': break;  // NoticeResponse
        case 'v': version(message, out); return bound_held_back();
        case 'A':  // NotificationResponse: of a login trigger, say; there are none for nobody
            if (!authenticated_) return fail(Fault::server_message);
            break;
        default: return fail(Fault::server_message);
    }
    pass(message, told(out));
    bound_held_back();
}

void Login::bound_held_back() noexcept {
    if (next_ == Next::read_server && held_.size() > max_held_back) judge_now();
}

/// NegotiateProtocolVersion: a client hears it once.
void Login::version(const Message& message, LoginOutput& out) {
    const bool nothing_heard = answers_.version.empty() && !answers_.was_asked;
    if (answered_elsewhere_ && !nothing_heard) {
        const Bytes heard = answers_.version;
        if (!std::equal(heard.begin(), heard.end(), message.whole.begin(), message.whole.end()))
            fail(Fault::server_message);
        return;
    }
    answers_.version.assign(message.whole.begin(), message.whole.end());
    pass(message, told(out));
}

/// ReadyForQuery.
void Login::ready(const Message& message, LoginOutput& out) {
    if (!authenticated_) return fail(Fault::server_message);
    const bool has_asked = std::exchange(asking_, false);
    if (!has_asked) pass(message, told(out));  // of another one the client knows nothing
    if (!holding_) {
        next_ = Next::established;
    } else if (!has_asked && lacks_answer()) {
        asking_ = true;
        const Buffer question = query(policy_.question);
        out.to_server.insert(out.to_server.end(), question.begin(), question.end());
    } else {
        complete_ = true;
        next_ = Next::judge;
    }
}

bool Login::lacks_answer() const noexcept {
    if (policy_.question == RoleQuestion::read_only) return !read_only();
    return host_role_ == HostRole::unknown;
}

/// As libpq: by what is reported if both are, else by what the server says when it is asked.
std::optional<bool> Login::read_only() const noexcept {
    if (read_only_answer_ || host_role_ == HostRole::unknown || !default_read_only_) return read_only_answer_;
    return host_role_ == HostRole::standby || *default_read_only_;
}

/// DataRow.
void Login::take_answer(const Message& message) {
    const auto told = answer(message.body);
    if (policy_.question == RoleQuestion::read_only) {
        read_only_answer_ = told;
        // A primary's sessions may be read-only; a standby's are never anything else.
        if (told == false && host_role_ == HostRole::unknown) host_role_ = HostRole::primary;
    } else if (told) {
        host_role_ = *told ? HostRole::standby : HostRole::primary;
    }
}

void Login::release(LoginOutput& out) {
    out.to_client.insert(out.to_client.end(), held_.begin(), held_.end());
    Buffer().swap(held_);
    holding_ = false;
    next_ = complete_ ? Next::established : Next::read_server;
}

bool Login::judge_now() noexcept {
    if (!holding_) return false;
    next_ = Next::judge;
    return true;
}

bool Login::can_be_repeated() const noexcept {
    if (!authenticated_) return false;
    return !answers_.was_asked || user_keys_ || !answers_.password.empty();
}

std::optional<ClientAnswers> Login::take_answers() {
    if (!can_be_repeated()) return std::nullopt;
    answers_.user_keys = user_keys_;
    answers_.user_keys_salt = user_keys_salt_;
    answers_.server_final = server_final_;
    if (answers_.was_asked && answers_.auth_method.empty()) answers_.auth_method = auth_method_;
    answers_.auth_bridge = auth_bridge_;
    answers_.channel_binding = channel_binding_;
    return std::move(answers_);
}

bool Login::passes_oversized(char type) const noexcept {
    return authenticated_ && (type == 'A' || type == 'N' || type == 'S');
}

void Login::from_client(const Message& message, LoginOutput& out) {
    if (message.type != 'p') return fail(Fault::client_message);
    switch (expected_) {
        case Expected::opaque: return pass_on(message, out);
        case Expected::mechanism: return sasl_choice(message, out);
        case Expected::first_message: return first_message(as_text(message.body), message, out);
        case Expected::final_message: return terminated_final_message(as_text(message.body), out);
        case Expected::password: return password(message, out);
    }
}

void Login::derived(const ScramKey& salted_password, LoginOutput& out) {
    if (scram_client_) return upstream_final(scram_keys(policy_.crypto, salted_password), out);
    terminated_key(salted_password, out);
}

void Login::authentication(const Message& message, LoginOutput& out) {
    Reader reader(message.body);
    const auto code = static_cast<AuthenticationCode>(reader.u32());
    if (!reader.ok() || authenticated_) return fail(Fault::server_message);
    if (code == AuthenticationCode::ok) return authentication_ok(message, out);
    if (scram_client_) return upstream_scram(code, as_text(reader.rest()), out);
    switch (code) {
        case AuthenticationCode::sasl: return sasl_offer(message.body, out);
        case AuthenticationCode::sasl_final: return pass(message, out.to_client);
        case AuthenticationCode::sasl_continue: break;
        case AuthenticationCode::cleartext_password:
            if (answered_elsewhere_ && answers_.was_asked) return answer_password(out);
            auth_method_ = "password";
            break;
        case AuthenticationCode::md5_password: auth_method_ = "md5"; break;
        case AuthenticationCode::gss:
        case AuthenticationCode::gss_continue:
        case AuthenticationCode::sspi: auth_method_ = "gss"; break;
        default: return fail(Fault::server_message);
    }
    if (answered_elsewhere_ && answers_.was_asked) return fail(Fault::server_message);
    pass(message, out.to_client);
    answers_.was_asked = true;
    next_ = Next::read_client;
}

/// With what the client has told another server in the same way. What was not told in clear is not
/// told in clear to anybody.
void Login::answer_password(LoginOutput& out) {
    if (answers_.auth_method != "password" || answers_.password.empty()) return fail(Fault::server_message);
    Writer message(out.to_server);
    message.u8('p');
    const std::size_t length = message.begin_length();
    message.cstring(as_text(answers_.password));
    message.end_length(length);
    auth_method_ = "password";
}

/// Once we have begun to authenticate, the server may not fall back to asking for something weaker.
void Login::upstream_scram(AuthenticationCode code, std::string_view data, LoginOutput& out) {
    switch (code) {
        case AuthenticationCode::sasl_continue: return upstream_challenge(data, out);
        case AuthenticationCode::sasl_final:
            server_proved_ = scram_client_->server_final(data);
            if (!server_proved_) fail(Fault::scram_signature);
            return;
        default: return fail(Fault::server_message);
    }
}

void Login::authentication_ok(const Message& message, LoginOutput& out) {
    if (scram_client_ && !server_proved_) return fail(Fault::scram_signature);
    authenticated_ = true;
    if (auth_method_.empty()) auth_method_ = "cert/trust";
    holding_ = policy_.question != RoleQuestion::none;
    if (!server_final_.empty())
        append_authentication(told(out), AuthenticationCode::sasl_final, as_bytes(server_final_));
    pass(message, told(out));
}

/// The server leg has TLS whose certificate has a hash (RFC 5929, section 4.1).
bool Login::can_bind() const { return server_offer_.offers(scram_sha_256_plus) && !policy_.server_end_point.empty(); }

// --- What the client is asked

void Login::sasl_offer(Bytes body, LoginOutput& out) {
    auto offered = parse_authentication_sasl(body);
    if (!offered || !server_offer_.mechanisms.empty()) return fail(Fault::server_message);
    server_offer_ = *offered;
    const bool scram =
        offered->offers(scram_sha_256) || can_bind();  // nobody is asked for a password that is of no use
    if (answered_elsewhere_ && answers_.was_asked) {
        password_ = answers_.password;
        if (!scram || (password_.empty() && !user_keys_)) return fail(Fault::server_message);
        if (auth_bridge_ == AuthBridge::none) auth_bridge_ = AuthBridge::cleartext;
        return begin_upstream_scram(out);
    }
    std::erase_if(offered->mechanisms, [](const std::string& m) { return m.ends_with(plus_suffix); });
    if (scram && policy_.scram == ScramMode::terminate) {
        const ScramUser* user = policy_.user;
        const ScramSalt salt = user && user->secret ? user->secret->salt : policy_.user_salt;
        auth_bridge_ = AuthBridge::terminate;
        scram_server_.emplace(policy_.crypto, policy_.client_end_point, salt);
        AuthenticationSASL ours;
        if (scram_server_->offers_plus()) ours.mechanisms.emplace_back(scram_sha_256_plus);
        ours.mechanisms.emplace_back(scram_sha_256);
        return offer(std::move(ours), out);
    }
    const bool at_once = policy_.scram == ScramMode::bridge || (policy_.scram == ScramMode::automatic &&
                                                                (policy_.ask_at_once || offered->mechanisms.empty()));
    if (scram && at_once) return ask_password(out);
    if (offered->mechanisms.empty()) return fail(Fault::sasl_nothing_left);
    offer(std::move(*offered), out);
}

void Login::offer(AuthenticationSASL offer, LoginOutput& out) {
    our_offer_ = std::move(offer);
    append(out.to_client, our_offer_);
    ask_client(Expected::mechanism);
}

void Login::ask_password(LoginOutput& out) {
    if (!policy_.password_is_safe) return fail(Fault::password_in_clear);
    auth_bridge_ = AuthBridge::cleartext;
    append_authentication(out.to_client, AuthenticationCode::cleartext_password);
    ask_client(Expected::password);
}

// --- What the client answers

void Login::sasl_choice(const Message& message, LoginOutput& out) {
    const auto response = parse_sasl_initial_response(message.body);
    if (!response) return fail(Fault::sasl_message);
    if (!our_offer_.offers(response->mechanism)) return fail(Fault::sasl_mechanism);
    mechanism_ = response->mechanism;
    auth_method_ = lower(std::string_view(mechanism_).substr(0, max_method));
    if (response->data) return first_message(*response->data, message, out);
    if (mechanism_ != scram_sha_256 && mechanism_ != scram_sha_256_plus) return pass_on(message, out);
    // The client waits to be asked for it. By us: who it is that logs in at the server depends on
    // what it says.
    append_authentication(out.to_client, AuthenticationCode::sasl_continue);
    ask_client(Expected::first_message);
}

void Login::pass_on(const Message& message, LoginOutput& out) {
    note_secret(as_text(message.body));
    if (next_ == Next::failed) return;
    pass(message, out.to_server);
    if (auth_method_ == "password" && policy_.question != RoleQuestion::none) {
        const auto given = parse_password_message(message.body);
        if (given) answers_.password.assign(given->begin(), given->end());
    }
    expected_ = Expected::opaque;
    next_ = Next::read_server;
}

/// What goes on as it is and is neither SCRAM, MD5 nor GSSAPI, which prove a secret and do not tell
/// it.
void Login::note_secret(std::string_view body) {
    if (mechanism_.empty() ? auth_method_ != "password" : mechanism_.starts_with(scram_prefix)) return;
    if (mechanism_ == oauth_bearer) {
        constexpr std::string_view key =
            "\x01"
            "auth=";
        const std::size_t found = body.find(key);
        if (found != std::string_view::npos) body.remove_prefix(found + key.size());
        const std::string_view value = body.substr(0, body.find('\x01'));
        oauth_discovery_ = oauth_discovery_ || (found != std::string_view::npos && value.empty());
        body = value.substr(value.find(' ') + 1);  // behind "Bearer"
    }
    while (body.ends_with('\0')) body.remove_suffix(1);
    if (told_in_clear_.size() + body.size() > max_told_in_clear) return fail(Fault::client_message_length);
    told_in_clear_ += body;
}

bool Login::repeats_secret(std::string_view text) const { return protocol::repeats_secret(text, told_in_clear_); }

bool Login::is_part_of_secret(std::string_view text) const { return protocol::is_part_of_secret(text, told_in_clear_); }

void Login::first_message(std::string_view data, const Message& message, LoginOutput& out) {
    if (scram_server_) return terminated_first_message(data, out);
    relayed_first_message(data, message, out);
}

void Login::relayed_first_message(std::string_view data, const Message& message, LoginOutput& out) {
    if (mechanism_ != scram_sha_256) return pass_on(message, out);  // such as OAUTHBEARER: none of our business
    const char flag = data.empty() ? '\0' : data.front();
    if (flag == 'n' || flag == 'y' || flag == 'p') channel_binding_ = flag;
    // 'p' without our having offered -PLUS breaks RFC 5802. 'y' says "I could, you could not": true
    // when the server cannot either.
    if (flag == 'p') return fail(Fault::sasl_message);
    if (flag == 'y' && server_offer_.offers(scram_sha_256_plus)) {
        if (policy_.scram != ScramMode::automatic) return fail(Fault::channel_binding_hidden);
        return ask_password(out);
    }
    if (expected_ == Expected::mechanism) return pass_on(message, out);
    // It came alone, and the server has heard of no mechanism yet.
    append_sasl_initial_response(out.to_server, mechanism_, data);
    expected_ = Expected::opaque;
    next_ = Next::read_server;
}

void Login::terminated_first_message(std::string_view data, LoginOutput& out) {
    std::string reply;
    const Fault fault = scram_server_->client_first(mechanism_, data, channel_binding_, reply);
    if (fault != Fault::none) return fail(fault);
    append_authentication(out.to_client, AuthenticationCode::sasl_continue, as_bytes(reply));
    ask_client(Expected::final_message);
}

void Login::terminated_final_message(std::string_view data, LoginOutput& out) {
    const Fault fault = scram_server_->client_final(data);
    if (fault != Fault::none) return fail(fault);
    const ScramUser* user = policy_.user;
    if (user && user->secret) {
        if (const auto client_key = scram_server_->proves(user->secret->stored_key)) {
            server_final_ = scram_server_->final_message(user->secret->server_key);
            user_keys_ = {.client_key = *client_key, .server_key = user->secret->server_key};
            user_keys_salt_ = user->secret->salt;
            return begin_upstream_scram(out);
        }
    }
    // Every refusal costs one derivation, so that the time it takes does not tell whether there is
    // such a user.
    derive(user ? user->password : Buffer(), scram_server_->salt());
}

void Login::terminated_key(const ScramKey& salted_password, LoginOutput& out) {
    const ScramUser* user = policy_.user;
    const ScramSecret secret = scram_secret(policy_.crypto, salted_password, scram_server_->salt());
    const bool proved = scram_server_->proves(secret.stored_key).has_value();
    if (!proved || !user || user->secret || user->password.empty()) return fail(Fault::password_failed);
    server_final_ = scram_server_->final_message(secret.server_key);
    password_ = user->password;
    if (policy_.question != RoleQuestion::none) answers_.password = password_;
    begin_upstream_scram(out);
}

void Login::password(const Message& message, LoginOutput& out) {
    const auto given = parse_password_message(message.body);
    if (!given) return fail(Fault::password_message);
    if (given->empty()) return fail(Fault::password_empty);
    password_.assign(given->begin(), given->end());
    if (policy_.question != RoleQuestion::none) answers_.password = password_;
    begin_upstream_scram(out);
}

// --- What we say to the server ourselves

void Login::begin_upstream_scram(LoginOutput& out) {
    const bool plus = can_bind();
    if (!plus && !server_offer_.offers(scram_sha_256)) return fail(Fault::sasl_nothing_left);
    // Flag 'y' lets a server notice that its offer was changed on the way; where that cannot be,
    // 'n' also passes a server that is a proxy like us.
    const bool tell = plus || !policy_.server_verified;
    scram_client_.emplace(policy_.crypto, tell ? policy_.server_end_point : Buffer(), plus);
    auth_method_ = lower(scram_client_->mechanism());
    append_sasl_initial_response(out.to_server, scram_client_->mechanism(), scram_client_->first_message());
    expected_ = Expected::opaque;
    next_ = Next::read_server;
}

void Login::upstream_challenge(std::string_view data, LoginOutput& out) {
    ScramSalt salt;
    const Fault fault = scram_client_->server_first(data, salt);
    if (fault != Fault::none) return fail(fault);
    if (!user_keys_) return derive(std::move(password_), std::move(salt));
    if (salt != user_keys_salt_) return fail(Fault::scram_secret);
    upstream_final(*user_keys_, out);
}

void Login::upstream_final(const ScramKeys& keys, LoginOutput& out) {
    append_sasl_response(out.to_server, scram_client_->final_message(keys));
    next_ = Next::read_server;
}

void Login::derive(Buffer password, ScramSalt salt) {
    derivation_ = {.password = std::move(password), .salt = std::move(salt)};
    next_ = Next::derive_key;
}

void Login::ask_client(Expected expected) noexcept {
    answers_.was_asked = true;
    expected_ = expected;
    next_ = Next::read_client;
}

void Login::fail(Fault fault) noexcept {
    fault_ = fault;
    next_ = Next::failed;
}

}  // namespace protocol
