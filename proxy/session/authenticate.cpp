#include "proxy/session/authenticate.hpp"

#include <utility>

#include "proxy/session/client_watch.hpp"

namespace proxy {
namespace {

using Next = protocol::Login::Next;

/// How often something may be there at once before other sessions get their turn.
constexpr int rounds_in_a_row = 16;
/// More than an honest program needs for the next message of SCRAM, over whatever network.
constexpr std::chrono::milliseconds clients_time{1000};

tls::Awaitable<> flush(tls::Stream& stream, protocol::Buffer& out) {
    if (out.empty()) co_return;
    co_await stream.write(out);
    protocol::Buffer().swap(out);
}

void append(protocol::Buffer& to, protocol::Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// Both legs are listened to all the time, whoever's turn it is: what comes early is kept, and
/// whoever leaves is noticed.
class Exchange {
   public:
    Exchange(tls::Stream& client, tls::Stream& server, protocol::Login& login, LoginOptions options)
        : client_(client),
          server_(server),
          login_(login),
          options_(std::move(options)),
          woken_(client.socket().get_executor()) {
        append(out_.to_server, options_.startup);
    }
    ~Exchange() {
        client_.when_readable({});
        server_.when_readable({});
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    tls::Awaitable<LoginEnd> run();

   private:
    bool advance();
    bool server_advances();
    tls::Awaitable<std::optional<LoginEnd>> hear();
    bool hear_client();
    bool hear_server();
    std::optional<LoginEnd> somebody_left() const;
    tls::Awaitable<> wait();
    tls::Awaitable<bool> derive_key();
    tls::Awaitable<> pass_on_rest();

    void note_turn();
    bool clients_turn() const noexcept { return login_.next() == Next::read_client; }
    bool client_may_speak() const {
        return !client_ended_ && (clients_turn() || options_.from_client.rest().size() < max_said_ahead);
    }
    bool server_may_speak() const {
        return !server_ended_ && (!clients_turn() || from_server_.rest().size() < max_said_ahead);
    }

    tls::Stream& client_;
    tls::Stream& server_;
    protocol::Login& login_;
    LoginOptions options_;
    protocol::MessageBuffer from_server_{protocol::max_server_login_message};
    protocol::LoginOutput out_;
    protocol::Buffer chunk_ = protocol::Buffer(8192);
    bool client_ended_ = false;
    bool server_ended_ = false;
    int rounds_ = 0;
    bool was_clients_turn_ = false;
    std::optional<std::chrono::steady_clock::time_point> turn_began_;  // nullopt: with the next look
    tls::Timer woken_;                                                 // cancelled when a leg has something
};

tls::Awaitable<LoginEnd> Exchange::run() {
    hear_client();
    if (client_ended_ && has_nothing_to_ask(options_.from_client)) co_return LoginEnd::client_closed;
    for (;;) {
        switch (login_.next()) {
            case Next::read_server:
            case Next::read_client: {
                if (advance()) break;
                const std::optional<LoginEnd> end = co_await hear();
                if (end) co_return *end;
                break;
            }
            case Next::derive_key: {
                const bool derived = co_await derive_key();
                if (!derived) co_return client_ended_ ? LoginEnd::client_closed : LoginEnd::no_key;
                break;
            }
            case Next::judge:
                if (options_.is_wanted && !options_.is_wanted()) co_return LoginEnd::unwanted;
                login_.release(out_);
                break;
            case Next::established:
                if (options_.on_established) options_.on_established();
                co_await pass_on_rest();
                co_return LoginEnd::established;
            case Next::denied:
                if (login_.denied_at_once() && options_.may_retry && options_.may_retry(login_.server_error()))
                    co_return LoginEnd::retry;
                if (options_.on_denied) options_.on_denied();
                co_await flush(client_, out_.to_client);
                co_return LoginEnd::denied;
            case Next::failed: co_return LoginEnd::failed;
        }
    }
}

/// True: a message was there, and `login` has it.
bool Exchange::advance() {
    if (!clients_turn()) return server_advances();
    if (const auto message = options_.from_client.next()) {
        login_.from_client(*message, out_);
        turn_began_.reset();
        return true;
    }
    if (options_.from_client.oversized()) {
        login_.oversized();
        return true;
    }
    // A server may say why it does not wait, and a word before it.
    const protocol::Bytes said = from_server_.rest();
    return !said.empty() && (said[0] == 'E' || said[0] == 'N') && server_advances();
}

bool Exchange::server_advances() {
    if (const auto message = from_server_.next()) {
        login_.from_server(*message, out_);
        if (message->type == 'K' && login_.key() && options_.on_key) options_.on_key();
        return true;
    }
    if (!from_server_.oversized()) return false;
    if (login_.passes_oversized(static_cast<char>(from_server_.rest()[0]))) {
        if (login_.judge_now()) return true;
        if (const auto beginning = from_server_.take_oversized()) {
            append(out_.to_client, beginning->bytes);
            options_.within_message = beginning->missing;
            return true;
        }
    }
    if (clients_turn()) return false;  // once it is the server's
    login_.oversized();
    return true;
}

/// Until there are more bytes of either side. A value: one of them has left.
tls::Awaitable<std::optional<LoginEnd>> Exchange::hear() {
    co_await flush(client_, out_.to_client);
    co_await flush(server_, out_.to_server);
    note_turn();
    for (;;) {
        const bool client_spoke = hear_client();
        const bool server_spoke = hear_server();
        if (client_spoke || server_spoke) break;
        const auto end = somebody_left();
        if (end) co_return end;
        rounds_ = 0;
        co_await wait();
    }
    if (++rounds_ % rounds_in_a_row == 0) co_await asio::post(woken_.get_executor(), tls::returning());
    co_return std::nullopt;
}

bool Exchange::hear_client() {
    if (!client_may_speak()) return false;
    const auto n = client_.read_ready(chunk_);
    if (!n) return false;
    client_ended_ = *n == 0;
    options_.from_client.append(protocol::Bytes(chunk_).first(*n));
    return !client_ended_;
}

bool Exchange::hear_server() {
    if (!server_may_speak()) return false;
    const auto n = server_.read_ready(chunk_);
    if (!n) return false;
    server_ended_ = *n == 0;
    if (!server_ended_ && options_.on_answer) std::exchange(options_.on_answer, nullptr)();
    const protocol::Bytes bytes = protocol::Bytes(chunk_).first(*n);
    const std::size_t passed = std::min(bytes.size(), options_.within_message);
    append(out_.to_client, bytes.first(passed));
    options_.within_message -= passed;
    from_server_.append(bytes.subspan(passed));
    return !server_ended_;
}

/// All that had been said before was of no use.
std::optional<LoginEnd> Exchange::somebody_left() const {
    if (server_ended_) return LoginEnd::server_closed;
    if (client_ended_ && (clients_turn() || has_nothing_to_ask(options_.from_client))) return LoginEnd::client_closed;
    return std::nullopt;
}

/// Whose bytes come one by one has its time all the same.
void Exchange::note_turn() {
    const auto now = std::chrono::steady_clock::now();
    if (std::exchange(was_clients_turn_, clients_turn()) != clients_turn()) turn_began_.reset();
    if (!turn_began_) turn_began_ = now;
    const auto time = clients_turn() ? clients_time : options_.servers_time;
    if (options_.on_silence && now >= *turn_began_ + time) std::exchange(options_.on_silence, nullptr)();
}

tls::Awaitable<> Exchange::wait() {
    const auto time = clients_turn() ? clients_time : options_.servers_time;
    woken_.expires_at(options_.on_silence ? *turn_began_ + time : tls::Timer::time_point::max());
    const auto wake = [this] { woken_.cancel(); };
    if (client_may_speak()) client_.when_readable(wake);
    if (server_may_speak()) server_.when_readable(wake);
    co_await woken_.async_wait(tls::returning());
    note_turn();
}

tls::Awaitable<bool> Exchange::derive_key() {
    const ClientWatch watch(client_, options_.from_client, options_.on_left);
    client_ended_ = watch.left();
    if (client_ended_) co_return false;
    protocol::KeyDerivation derivation = login_.take_derivation();
    const std::optional<protocol::ScramKey> key = co_await options_.derive_key(std::move(derivation));
    client_ended_ = watch.left();
    if (!key || client_ended_) co_return false;
    login_.derived(*key, out_);
    co_return true;
}

tls::Awaitable<> Exchange::pass_on_rest() {
    append(out_.to_client, from_server_.rest());
    append(out_.to_server, options_.from_client.rest());
    options_.boundary.from_server(from_server_.rest());
    options_.boundary.from_client(options_.from_client.rest());
    co_await flush(client_, out_.to_client);
    co_await flush(server_, out_.to_server);
}

}  // namespace

tls::Awaitable<LoginEnd> authenticate(tls::Stream& client, tls::Stream& server, protocol::Login& login,
                                      LoginOptions options) {
    // On the heap, and not in the coroutine's frame, for its size.
    const auto exchange = std::make_unique<Exchange>(client, server, login, std::move(options));
    const LoginEnd end = co_await exchange->run();
    co_return end;
}

}  // namespace proxy
