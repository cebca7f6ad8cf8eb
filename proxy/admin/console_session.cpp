#include "proxy/admin/console_session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "proxy/admin/console_error.hpp"
#include "tls/opening.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using protocol::ConsoleStatement;
using protocol::ErrorResponse;
using protocol::Negotiation;
using protocol::TransactionStatus;
using Kind = ConsoleStatement::Kind;

/// As client_opening_timeout and, for a client that does not read, its like.
constexpr auto opening_timeout = 10s;
constexpr auto write_timeout = 10s;
/// A client that reads slowly: how long it may hold its result.
constexpr auto result_timeout = 60s;
/// A command that makes files on a disk that hangs.
constexpr auto command_timeout = 30s;
/// Longer than Server gives it.
constexpr auto upgrade_timeout = 90s;
constexpr std::size_t read_size = 8192;
/// What is written at a time, so that a client that reads slowly is told from one that does not.
constexpr std::size_t write_size = 256 * 1024;
/// Beyond that, what was written is not kept to be written over.
constexpr std::size_t max_kept = 64 * 1024;

/// A question while it is answered: a CancelRequest ends it, and so does its client by leaving.
class Interruptible {
   public:
    Interruptible(std::shared_ptr<ConsoleState> state, const ConsoleState::Key& key, tls::Socket& socket,
                  const std::shared_ptr<RunningQuery>& running)
        : state_(std::move(state)), key_(key), socket_(socket) {
        state_->queries[key_] = running;
        // Nobody reads meanwhile. That the peer has gone, and not only said its last, is a hang-up.
        socket_.async_wait(tls::Socket::wait_error, [running](const boost::system::error_code& error) {
            if (!error) running->interrupt(RunningQuery::End::client_left);
        });
    }
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;
    ~Interruptible() {
        state_->queries.erase(key_);
        boost::system::error_code ignored;
        socket_.cancel(ignored);
    }

   private:
    const std::shared_ptr<ConsoleState> state_;
    const ConsoleState::Key key_;
    tls::Socket& socket_;
};

}  // namespace

bool discards(const ConsoleStatement& statement) { return statement.kind == Kind::set && statement.text == "DISCARD"; }

bool streams_to_client(const ConsoleStatement& statement) {
    return statement.kind == Kind::capture_start && statement.to == ConsoleStatement::To::client;
}

ConsoleSession::ConsoleSession(Settings settings, tls::Socket socket)
    : settings_(std::move(settings)),
      stream_(std::move(socket), tls::Leg::client),
      waiting_(std::make_shared<tls::Timer>(stream_.socket().get_executor())),
      in_(read_size) {}

tls::Awaitable<> ConsoleSession::converse() {
    try {
        const bool opened = co_await open();
        if (!opened) co_return;
        while (!over_) {
            const auto message = co_await next_message_in_time();
            if (!message) break;
            co_await take(*message);
            co_await flush();
        }
    } catch (const tls::StreamError& broken) {
        spdlog::debug("console: {}", broken.what());  // gone, or too slow: nobody to tell
    }
}

// --- The opening

/// True: the client is in.
tls::Awaitable<bool> ConsoleSession::open() {
    using Stop = tls::Opening::Stop;
    stream_.set_deadline(Clock::now() + opening_timeout, tls::Deadline::opening);
    Negotiation negotiation({.tls = false, .direct_tls = false, .tls_required = false});
    tls::Opening opening = co_await tls::go_on(stream_, negotiation);
    while (opening.stop == Stop::declining) opening = co_await tls::go_on(stream_, negotiation);
    switch (opening.stop) {
        case Stop::started: break;
        case Stop::cancel:
            // Also where all places are taken: it may be what makes one free.
            if (settings_.asker.right != ConsoleRight::none) co_await cancel(negotiation.cancel_request());
            co_return false;
        case Stop::reject: {
            const protocol::Fault fault = negotiation.fault();
            if (!protocol::sqlstate(fault).empty())
                end(std::string(protocol::sqlstate(fault)).c_str(), std::string(protocol::message(fault)).c_str());
            co_await flush();
            co_return false;
        }
        case Stop::declining:
        case Stop::start_tls:
        case Stop::closed: co_return false;
    }
    if (settings_.refusal) {
        protocol::append(out_, *settings_.refusal);
    } else {
        welcome(negotiation.startup());
    }
    co_await flush();
    co_return !settings_.refusal;
}

/// A question ends with 57014; a capture that its client reads, as if it had been stopped.
tls::Awaitable<> ConsoleSession::cancel(const protocol::CancelRequest& request) {
    if (request.key.size() != sizeof(std::uint32_t)) co_return;
    const ConsoleState::Key key{.pid = request.pid, .key = protocol::Reader(request.key).u32()};
    if (const auto asked = settings_.state->queries.find(key); asked != settings_.state->queries.end())
        asked->second->interrupt(RunningQuery::End::cancelled);
    const auto found = settings_.state->streams.find(key);
    if (found == settings_.state->streams.end()) co_return;
    co_await stop_capture(found->second);
}

void ConsoleSession::welcome(const protocol::StartupMessage& startup) {
    constexpr std::uint32_t newest_minor = 2;  // the same as 3.0 but for keys, which may have four bytes in both
    std::vector<std::string_view> unknown;
    for (const auto& [name, value] : startup.parameters) {
        if (name.starts_with("_pq_.")) unknown.push_back(name);
    }
    if ((startup.version & 0xffff) > newest_minor || !unknown.empty())
        protocol::append_negotiate_protocol_version(out_, newest_minor, unknown);
    settings_.asker.user = std::string(startup.find("user"));
    client_settings_.begin(startup);
    settings_.asker.statement_timeout = client_settings_.statement_timeout();
    protocol::append_authentication(out_, protocol::AuthenticationCode::ok);
    for (const auto& [name, value] : console_parameters(startup, settings_.asker))
        protocol::append_parameter_status(out_, name, value);
    protocol::append_backend_key_data(out_, settings_.key.pid, settings_.key.key);
    protocol::append_ready_for_query(out_);
}

// --- Messages

/// nullopt: the client has gone, or says what is no message.
tls::Awaitable<std::optional<ConsoleSession::Message>> ConsoleSession::next_message() {
    if (put_back_) co_return std::exchange(put_back_, std::nullopt);
    for (;;) {
        if (const auto frame = framer_.next(unread_))
            co_return Message{.type = frame->type, .body = std::string(protocol::as_text(frame->body))};
        if (framer_.broken()) {
            end("08P01", "not a message that is expected here");
            co_await flush();
            co_return std::nullopt;
        }
        const std::size_t n = co_await stream_.read_some(in_);
        if (n == 0) co_return std::nullopt;
        unread_ = protocol::Bytes(in_).first(n);
    }
}

/// nullopt: as next_message(), or it said nothing for too long, and was told so.
tls::Awaitable<std::optional<ConsoleSession::Message>> ConsoleSession::next_message_in_time() {
    stream_.set_deadline(Clock::now() + settings_.idle_timeout, tls::Deadline::answer);
    std::optional<Message> message;
    bool is_late = false;
    try {
        message = co_await next_message();
    } catch (const tls::StreamError& error) {
        is_late = error.kind() == tls::StreamError::Kind::timed_out;
        if (!is_late) throw;
    }
    stream_.clear_deadline();
    if (is_late) {
        end("57P05", "terminating connection due to idle-session timeout");
        co_await flush();
    }
    co_return message;
}

/// A client that does not read has until write_timeout, one that reads until result_timeout.
tls::Awaitable<> ConsoleSession::flush() {
    const auto end = Clock::now() + result_timeout;
    for (protocol::Bytes rest(out_); !rest.empty();) {
        const protocol::Bytes part = rest.first(std::min(rest.size(), write_size));
        stream_.set_deadline(std::min(Clock::now() + write_timeout, end), tls::Deadline::answer);
        co_await stream_.write(part);
        stream_.clear_deadline();
        rest = rest.subspan(part.size());
    }
    if (out_.capacity() > max_kept) out_ = protocol::Buffer();
    out_.clear();
    shares_.clear();
}

tls::Awaitable<> ConsoleSession::take(const Message& message) {
    if (message.type == 'X') {
        over_ = true;
        co_return;
    }
    if (skips_to_sync_ && message.type != 'S') co_return;
    switch (message.type) {
        case 'Q':
            co_await take_query(protocol::Reader(protocol::as_bytes(message.body)).cstring());
            if (!told_ready_ && !over_) protocol::append_ready_for_query(out_, transaction_);
            break;
        case 'S':
            skips_to_sync_ = false;
            if (transaction_ == TransactionStatus::idle) portals_.close_portals();
            protocol::append_ready_for_query(out_, transaction_);
            break;
        case 'P':
        case 'B':
        case 'C':
        case 'D':
        case 'E': co_await take_extended(message); break;
        case 'F':
            fail(console_error("0A000", "the console has no functions"));
            protocol::append_ready_for_query(out_, transaction_);
            break;
        case 'H':
        case 'd':
        case 'c':
        case 'f': break;  // of a COPY that is over: to be ignored (PostgreSQL docs, "COPY Operations")
        default: end("08P01", "not a message that is expected here");
    }
}

tls::Awaitable<> ConsoleSession::take_query(std::string_view text) {
    failed_ = told_ready_ = false;
    const auto parsed = protocol::parse_console(text);
    if (const auto* wrong = std::get_if<ErrorResponse>(&parsed)) {
        fail(with_guess(*wrong, text));
        co_return;
    }
    const auto& statements = std::get<std::vector<ConsoleStatement>>(parsed);
    if (statements.empty()) protocol::append_empty_query_response(out_);
    for (const ConsoleStatement& statement : statements) {
        co_await take_statement(statement, &statement == &statements.back());
        if (failed_ || over_) co_return;
        co_await flush();  // what is large does not wait for what comes next
    }
}

tls::Awaitable<> ConsoleSession::take_statement(const ConsoleStatement& statement, bool is_last) {
    if (take_transaction(statement)) co_return;
    if (!may_run()) co_return;
    if (const auto wrong = apply_setting(statement)) {
        fail(*wrong);
        co_return;
    }
    if (streams_to_client(statement)) {
        if (!is_last || transaction_ != TransactionStatus::idle) {
            fail(console_error("25001",
                               "CAPTURE START ... TO STDOUT cannot run inside a transaction block, or before another "
                               "statement"));
            co_return;
        }
        co_await stream_capture(statement);
        co_return;
    }
    const ConsoleRun run = new_run();
    auto work = [statement, run, asker = settings_.asker, state = settings_.state] {
        return answer(statement, run, asker, state->services);
    };
    std::optional<ConsoleAnswer> answered = co_await work_on(statement, run, std::move(work));
    if (!answered) co_return;
    append(std::move(*answered));
    if (discards(statement)) portals_.forget_all();
    if (answered->failed) {
        failed_ = true;
        if (transaction_ == TransactionStatus::open) transaction_ = TransactionStatus::failed;
    }
}

bool ConsoleSession::may_run() {
    if (transaction_ != TransactionStatus::failed) return true;
    fail(console_error("25P02", "current transaction is aborted, commands ignored until end of transaction block"));
    return false;
}

std::optional<ErrorResponse> ConsoleSession::apply_setting(const ConsoleStatement& statement) {
    if (statement.kind != Kind::set) return std::nullopt;
    auto wrong = client_settings_.apply(statement, transaction_ != TransactionStatus::idle);
    settings_.asker.statement_timeout = client_settings_.statement_timeout();
    return wrong;
}

ConsoleRun ConsoleSession::new_run() const {
    return {.parameters = {},
            .stop = std::make_shared<std::atomic<bool>>(false),
            .share = std::make_shared<ResultShare>(settings_.state->results, settings_.asker.uid)};
}

void ConsoleSession::append(ConsoleAnswer answer) {
    if (out_.empty()) {
        out_ = std::move(answer.messages);  // large, so that there is but one of them
    } else {
        out_.insert(out_.end(), answer.messages.begin(), answer.messages.end());
    }
    if (answer.share) shares_.push_back(std::move(answer.share));
}

tls::Awaitable<std::optional<ConsoleAnswer>> ConsoleSession::work_on(const ConsoleStatement& statement,
                                                                     const ConsoleRun& run,
                                                                     std::function<ConsoleAnswer()> work) {
    const bool disk = waits_for_disk(statement, settings_.state->services);
    if (statement.kind != Kind::sql && statement.kind != Kind::show) {
        // A new process may take its time, in which others can still command.
        const bool upgrades = statement.kind == Kind::upgrade;
        Offload& where = disk || upgrades ? settings_.starts : settings_.commands;
        const auto deadline = upgrades ? Clock::now() + upgrade_timeout : command_deadline();
        std::optional<ConsoleAnswer> done = co_await where.run(std::move(work), deadline, waiting_);
        if (!done)
            fail(console_error("57014", "the command is not done in time, and may still be",
                               "pgairlock's log may say why."));
        co_return std::move(done);
    }
    const auto running = std::make_shared<RunningQuery>(run.stop, waiting_);
    const Interruptible interruptible(settings_.state, settings_.key, stream_.socket(), running);
    const auto timeout = settings_.asker.statement_timeout;
    const bool has_timeout = timeout.count() > 0 && timeout < command_timeout;
    const auto deadline = has_timeout ? Clock::now() + timeout : command_deadline();
    Offload& where = disk ? settings_.disk_queries : settings_.queries;
    std::optional<ConsoleAnswer> answered = co_await where.run(std::move(work), deadline, waiting_);
    if (answered) co_return std::move(answered);
    run.stop->store(true, std::memory_order_relaxed);
    if (running->end() == RunningQuery::End::client_left) {
        over_ = true;
    } else if (running->end() == RunningQuery::End::cancelled) {
        fail(console_error("57014", "canceling statement due to user request"));
    } else if (has_timeout && Clock::now() >= deadline) {
        fail(console_error("57014", "canceling statement due to statement timeout"));
    } else {
        fail(console_error("57014", "the answer is not there in time", "pgairlock's log may say why."));
    }
    co_return std::nullopt;
}

/// True: it was one of those that begin and end transactions, which drivers like to have and which
/// mean nothing here.
bool ConsoleSession::take_transaction(const ConsoleStatement& statement) {
    switch (statement.kind) {
        case Kind::begin:
            if (transaction_ == TransactionStatus::failed) return false;
            transaction_ = TransactionStatus::open;
            protocol::append_command_complete(out_, "BEGIN");
            return true;
        case Kind::commit:
        case Kind::rollback: {
            const bool commits = statement.kind == Kind::commit && transaction_ != TransactionStatus::failed;
            transaction_ = TransactionStatus::idle;
            client_settings_.end_transaction();
            settings_.asker.statement_timeout = client_settings_.statement_timeout();
            protocol::append_command_complete(out_, commits ? "COMMIT" : "ROLLBACK");
            return true;
        }
        default: return false;
    }
}

Clock::time_point ConsoleSession::command_deadline() const { return Clock::now() + command_timeout; }

// --- Ends

void ConsoleSession::fail(const ErrorResponse& why) {
    failed_ = true;
    protocol::append(out_, why);
    if (transaction_ == TransactionStatus::open) transaction_ = TransactionStatus::failed;
}

void ConsoleSession::end(const char* sqlstate, const char* message) {
    over_ = true;
    protocol::append(out_, ErrorResponse{.sqlstate = sqlstate, .message = message, .detail = {}, .hint = {}});
}

}  // namespace proxy
