#include "proxy/admin/console_session.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>

#include "proxy/admin/capture_options.hpp"
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
/// A command that makes files on a disk that hangs.
constexpr auto command_timeout = 30s;
/// Between the ReadyForQuery that ends a stream and the capture's being over.
constexpr auto end_timeout = 5s;
constexpr auto end_poll_interval = 20ms;
constexpr std::size_t read_size = 8192;

/// What is written to whom, for CancelRequests, while it is.
class Announced {
   public:
    Announced(std::shared_ptr<ConsoleState> state, const ConsoleState::Key& key, std::uint64_t id)
        : state_(std::move(state)), key_(key) {
        state_->streams[key_] = id;
    }
    Announced(const Announced&) = delete;
    Announced& operator=(const Announced&) = delete;
    ~Announced() { state_->streams.erase(key_); }

   private:
    std::shared_ptr<ConsoleState> state_;
    ConsoleState::Key key_;
};

/// DISCARD: what was prepared is forgotten.
bool discards(const ConsoleStatement& statement) { return statement.kind == Kind::set && statement.text == "DISCARD"; }

bool to_client(const ConsoleStatement& statement) {
    return statement.kind == Kind::capture_start && statement.to == ConsoleStatement::To::client;
}

}  // namespace

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
            if (!settings_.refusal) co_await cancel(negotiation.cancel_request());
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

/// Of whoever reads a capture: it ends as if it had been stopped.
tls::Awaitable<> ConsoleSession::cancel(const protocol::CancelRequest& request) {
    if (request.key.size() != sizeof(std::uint32_t)) co_return;
    const ConsoleState::Key key{.pid = request.pid, .key = protocol::Reader(request.key).u32()};
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

/// A client that does not read has until write_timeout.
tls::Awaitable<> ConsoleSession::flush() {
    if (out_.empty()) co_return;
    stream_.set_deadline(Clock::now() + write_timeout, tls::Deadline::answer);
    co_await stream_.write(out_);
    stream_.clear_deadline();
    out_.clear();
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
        fail(*wrong);
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
    if (to_client(statement)) {
        if (!is_last || transaction_ != TransactionStatus::idle) {
            fail(console_error("25001",
                               "CAPTURE START ... TO STDOUT cannot run inside a transaction block, or before another "
                               "statement"));
            co_return;
        }
        co_await stream_capture(statement);
        co_return;
    }
    auto work = [statement, asker = settings_.asker, state = settings_.state] {
        return answer(statement, {}, asker, state->services);
    };
    const std::optional<ConsoleAnswer> answered = co_await work_on(statement, std::move(work));
    if (!answered) co_return;
    out_.insert(out_.end(), answered->messages.begin(), answered->messages.end());
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

/// nullopt: it was not done in time, and the client is told so.
template <class Work>
tls::Awaitable<std::optional<ConsoleAnswer>> ConsoleSession::work_on(const ConsoleStatement& statement, Work work) {
    const bool disk = waits_for_disk(statement, settings_.state->services);
    const bool is_query = statement.kind == Kind::sql || statement.kind == Kind::show;
    Offload& where =
        is_query ? (disk ? settings_.disk_queries : settings_.queries) : (disk ? settings_.starts : settings_.commands);
    std::optional<ConsoleAnswer> answered = co_await where.run(std::move(work), command_deadline(), waiting_);
    if (!answered) {
        fail(console_error("57014", "the command is not done in time, and may still be",
                           "pgairlock's log may say why."));
    }
    co_return std::move(answered);
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
            protocol::append_command_complete(out_, commits ? "COMMIT" : "ROLLBACK");
            return true;
        }
        default: return false;
    }
}

// --- The extended protocol

tls::Awaitable<> ConsoleSession::take_extended(const Message& message) {
    failed_ = told_ready_ = false;
    ConsolePortals::Error wrong;
    switch (message.type) {
        case 'P':
            wrong = portals_.parse(message.body, [this](const ConsoleStatement& statement) {
                return parameter_types(statement, settings_.state->services);
            });
            if (!wrong) protocol::append(out_, protocol::Step::parse_complete);
            break;
        case 'B':
            wrong = portals_.bind(message.body);
            if (!wrong) protocol::append(out_, protocol::Step::bind_complete);
            break;
        case 'C':
            wrong = portals_.close(message.body);
            if (!wrong) protocol::append(out_, protocol::Step::close_complete);
            break;
        case 'D': co_await take_describe(message.body); break;
        default: co_await take_execute(message.body);
    }
    if (wrong) fail_to_sync(*wrong);
}

tls::Awaitable<> ConsoleSession::take_describe(std::string_view body) {
    protocol::Reader reader(protocol::as_bytes(body));
    const bool is_portal = reader.u8() == 'P';
    const std::string name(reader.cstring());
    PreparedStatement* const prepared = is_portal ? nullptr : portals_.statement(name);
    Portal* const portal = is_portal ? portals_.portal(name) : nullptr;
    if (!prepared && !portal) {
        fail_to_sync(is_portal ? console_error("34000", "portal \"" + name + "\" does not exist")
                               : console_error("26000", "prepared statement \"" + name + "\" does not exist"));
        co_return;
    }
    if (prepared) protocol::append_parameter_description(out_, prepared->parameter_types);
    const std::optional<ConsoleStatement> statement = prepared ? prepared->statement : portal->statement;
    if (!statement) {
        protocol::append(out_, protocol::Step::no_data);
        co_return;
    }
    auto work = [statement = *statement, asker = settings_.asker, state = settings_.state] {
        return describe(statement, asker, state->services);
    };
    const std::optional<ConsoleAnswer> described = co_await work_on(*statement, std::move(work));
    if (!described || described->failed) {
        if (described) out_.insert(out_.end(), described->messages.begin(), described->messages.end());
        fail_to_sync_silently();
        co_return;
    }
    const protocol::Bytes messages(described->messages);
    if (prepared) {
        prepared->column_types = column_types(messages);
        out_.insert(out_.end(), messages.begin(), messages.end());
    } else {
        portal->column_types = column_types(messages);
        append_description(out_, messages, *portal);
    }
}

tls::Awaitable<> ConsoleSession::take_execute(std::string_view body) {
    protocol::Reader reader(protocol::as_bytes(body));
    const std::string name(reader.cstring());
    const std::uint32_t max_rows = reader.u32();
    Portal* const portal = portals_.portal(name);
    if (!portal) {
        fail_to_sync(console_error("34000", "portal \"" + name + "\" does not exist"));
        co_return;
    }
    if (!portal->statement) {
        protocol::append_empty_query_response(out_);
        co_return;
    }
    if (take_transaction(*portal->statement)) co_return;
    if (!may_run()) {
        fail_to_sync_silently();
        co_return;
    }
    if (to_client(*portal->statement)) {
        fail_to_sync(console_error("0A000", "CAPTURE START ... TO STDOUT is for the simple protocol"));
        co_return;
    }
    if (!portal->answer && portals_.waiting_bytes() > ConsolePortals::max_waiting) {
        fail_to_sync(console_error("53200", "too many results wait to be fetched"));
        co_return;
    }
    if (!portal->answer) {
        auto work = [statement = *portal->statement, parameters = portal->parameters, asker = settings_.asker,
                     state = settings_.state] { return answer(statement, parameters, asker, state->services); };
        std::optional<ConsoleAnswer> answered = co_await work_on(*portal->statement, std::move(work));
        if (!answered) {
            fail_to_sync_silently();
            co_return;
        }
        portal->answer = std::move(answered->messages);
        if (portal->column_types.empty()) portal->column_types = column_types(*portal->answer);
    }
    const bool forgets = discards(*portal->statement);
    if (!append_rows(out_, *portal, max_rows)) fail_to_sync_silently();
    if (forgets) portals_.forget_all();
}

/// The client has been told why.
void ConsoleSession::fail_to_sync_silently() {
    failed_ = skips_to_sync_ = true;
    if (transaction_ == TransactionStatus::open) transaction_ = TransactionStatus::failed;
}

void ConsoleSession::fail_to_sync(const ErrorResponse& why) {
    skips_to_sync_ = true;
    fail(why);
}

// --- CAPTURE START ... TO STDOUT

tls::Awaitable<> ConsoleSession::stream_capture(const ConsoleStatement& start) {
    std::optional<ErrorResponse> wrong = forbidden(start, settings_.asker);
    if (!wrong) {
        const auto order = capture_order(start);
        if (const auto* why = std::get_if<ErrorResponse>(&order)) wrong = *why;
    }
    // Shared, for work that may be copied, or never begun.
    const auto out = std::make_shared<OwnedDescriptor>(::fcntl(stream_.socket().native_handle(), F_DUPFD_CLOEXEC, 0));
    if (!wrong && !*out) wrong = console_error("53000", "there is no descriptor left for the capture");
    if (wrong) {
        fail(*wrong);
        co_return;
    }
    append_warning(out_, start);
    // What follows is written by the capture.
    protocol::append_copy_response(out_, protocol::CopyResponse::out, protocol::CopyFormat::binary);
    co_await flush();
    auto work = [start, out, asker = settings_.asker, captures = settings_.state->services.captures] {
        return start_capture(start, asker, captures, std::move(*out));
    };
    auto started = co_await settings_.starts.run(std::move(work), command_deadline(), waiting_);
    if (!started) {
        // It may still begin, and is to find nobody then.
        ::shutdown(stream_.socket().native_handle(), SHUT_RDWR);
        over_ = true;
    } else if (const auto* why = std::get_if<ErrorResponse>(&*started)) {
        fail(*why);
    } else {
        told_ready_ = true;
        co_await follow_stream(std::get<CaptureStatus>(*started).id);
    }
}

/// Until the client goes, which ends the capture, or goes on, which it may once it has ended.
tls::Awaitable<> ConsoleSession::follow_stream(std::uint64_t id) {
    const Announced announced(settings_.state, settings_.key, id);
    std::optional<Message> message;
    try {
        message = co_await next_message();
    } catch (const tls::StreamError&) {
        message.reset();
    }
    const bool stays = message && message->type != 'X';
    bool ended = false;
    if (stays) ended = co_await has_ended(id);
    if (ended) {
        put_back_ = std::move(message);
        co_return;
    }
    over_ = true;
    co_await stop_capture(id);
}

/// The client may know a moment before everybody else.
tls::Awaitable<bool> ConsoleSession::has_ended(std::uint64_t id) {
    for (const auto deadline = Clock::now() + end_timeout; Clock::now() < deadline;) {
        auto work = [captures = settings_.state->services.captures] { return captures.status(); };
        const auto running = co_await settings_.commands.run(std::move(work), command_deadline(), waiting_);
        const auto is_it = [id](const CaptureStatus& one) {
            return one.id == id && one.state == CaptureState::running;
        };
        if (running && std::none_of(running->begin(), running->end(), is_it)) co_return true;
        waiting_->expires_after(end_poll_interval);
        co_await waiting_->async_wait(tls::returning());
    }
    co_return false;
}

tls::Awaitable<> ConsoleSession::stop_capture(std::uint64_t id) {
    const std::string by = "uid " + std::to_string(settings_.asker.uid);
    auto work = [captures = settings_.state->services.captures, id, by] { return captures.stop(id, by); };
    co_await settings_.commands.run(std::move(work), command_deadline(), waiting_);
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
