#include "proxy/upstream/own_session.hpp"

#include "protocol/login.hpp"
#include "proxy/upstream/leaving.hpp"
#include "tls/scram_crypto.hpp"

namespace proxy {
namespace {

using protocol::OwnFailure;
using protocol::OwnLogin;
using protocol::SimpleQuery;

OwnFailure server_left() { return {.sqlstate = {}, .text = "server closed the connection unexpectedly"}; }

/// A password in clear goes to a server that has proved who it is, or that nobody can stand before.
bool may_tell(const tls::Stream& stream, const Reached& to, protocol::SslMode sslmode) {
    if (stream.encrypted()) return sslmode >= protocol::SslMode::verify_ca;
    return to.endpoint.protocol().family() == AF_UNIX;
}

}  // namespace

OwnSession::OwnSession(VerifiedConnection connection)
    : stream_(std::move(connection.stream)),
      reached_(std::move(connection.reached)),
      from_server_(protocol::max_server_login_message) {}

tls::Awaitable<OwnSession::Failure> OwnSession::log_in(OwnCredentials who, protocol::SslMode sslmode,
                                                       Clock::time_point deadline, DerivedKeys* keys) {
    OwnLogin login({.user = std::move(who.user),
                    .database = std::move(who.database),
                    .application_name = std::move(who.application_name),
                    .password = std::move(who.password),
                    .crypto = tls::scram_crypto(),
                    .server_end_point = reached_.tls.leaf ? reached_.tls.leaf->end_point : protocol::Buffer(),
                    .server_verified = sslmode == protocol::SslMode::verify_full,
                    .may_tell = may_tell(*stream_, reached_, sslmode)});
    stream_->set_deadline(deadline, tls::Deadline::connect);
    Failure failure;
    try {
        OwnFailure end = co_await converse(login, deadline, keys);
        if (login.next() != OwnLogin::Next::ready) failure = std::move(end);
    } catch (const tls::StreamError& broken) {
        failure = OwnFailure{.sqlstate = {}, .text = broken.what()};
    }
    stream_->clear_deadline();
    open_ = !failure;
    told_role_ = login.host_role();
    if (failure) close();
    co_return std::move(failure);
}

/// Why it ended, when it is not ready.
tls::Awaitable<OwnFailure> OwnSession::converse(OwnLogin& login, Clock::time_point deadline, DerivedKeys* keys) {
    protocol::Buffer out = login.startup();
    for (;;) {
        if (!out.empty()) {
            co_await stream_->write(out);
            out.clear();
        }
        if (login.next() == OwnLogin::Next::derive_key && keys) {
            const std::optional<protocol::ScramKey> key = co_await keys->of(login.salt(), deadline);
            if (!key) co_return OwnFailure{.sqlstate = {}, .text = "the key was not derived in time"};
            login.derived(*key, out);
        } else if (login.next() == OwnLogin::Next::derive_key) {
            login.derived(tls::salted_password(login.password(), login.salt()), out);
        } else if (login.next() != OwnLogin::Next::read_server) {
            co_return login.failure();
        } else if (const auto message = from_server_.next()) {
            login.from_server(*message, out);
        } else if (from_server_.oversized()) {
            login.oversized();
        } else {
            const bool heard = co_await hear();
            if (!heard) co_return server_left();
        }
    }
}

tls::Awaitable<OwnSession::Answer> OwnSession::ask(std::string_view sql, protocol::AnswerBounds bounds,
                                                   Clock::time_point deadline) {
    SimpleQuery query(bounds);
    protocol::Buffer out;
    protocol::append_query(out, sql);
    stream_->set_deadline(deadline, tls::Deadline::answer);
    Answer answer;
    open_ = false;
    try {
        co_await stream_->write(out);
        while (query.next() == SimpleQuery::Next::read_server) {
            if (const auto message = from_server_.next()) {
                query.from_server(*message);
            } else if (from_server_.oversized()) {
                query.oversized();
            } else {
                const bool heard = co_await hear();
                if (!heard) {
                    answer.failure = server_left();
                    break;
                }
            }
        }
    } catch (const tls::StreamError& broken) {
        answer.failure = OwnFailure{.sqlstate = {}, .text = broken.what()};
    }
    stream_->clear_deadline();
    using Next = SimpleQuery::Next;
    open_ = !answer.failure && (query.next() == Next::answered || query.next() == Next::refused);
    if (!answer.failure && query.next() != Next::answered) answer.failure = query.failure();
    if (!answer.failure) answer.rows = query.rows();
    if (!open_) close();
    co_return std::move(answer);
}

/// False: the server has closed.
tls::Awaitable<bool> OwnSession::hear() {
    std::array<std::uint8_t, 4096> chunk{};
    const std::size_t n = co_await stream_->read_some(chunk);
    from_server_.append(protocol::Bytes(chunk).first(n));
    co_return n > 0;
}

tls::Awaitable<> OwnSession::leave() {
    if (!std::exchange(open_, false)) co_return;
    protocol::Buffer out;
    protocol::append_terminate(out);
    bool told = false;
    try {
        stream_->set_deadline(Clock::now() + std::chrono::seconds(1), tls::Deadline::linger);
        co_await stream_->write(out);
        told = true;
    } catch (const tls::StreamError&) {
        // Gone already.
    }
    if (told) co_await proxy::leave(*stream_);
    close();
}

}  // namespace proxy
