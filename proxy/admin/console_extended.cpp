// The extended protocol of a console session: whoever prepares, describes and fetches in parts.
#include <limits>

#include "proxy/admin/console_error.hpp"
#include "proxy/admin/console_session.hpp"

namespace proxy {

using protocol::ConsoleStatement;
using protocol::ErrorResponse;
using protocol::TransactionStatus;

tls::Awaitable<> ConsoleSession::take_extended(const Message& message) {
    failed_ = told_ready_ = false;
    ConsolePortals::Error wrong;
    switch (message.type) {
        case 'P':
            wrong = portals_.parse(message.body, [this](const ConsoleStatement& statement) {
                return parameter_types(statement, settings_.state->services);
            });
            if (!wrong) {
                protocol::append(out_, protocol::Step::parse_complete);
            } else {
                wrong = with_guess(std::move(*wrong), ConsolePortals::query_of(message.body));
            }
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
    const ConsoleRun run = new_run();
    auto work = [statement = *statement, asker = settings_.asker, state = settings_.state, stop = run.stop] {
        return describe(statement, stop, asker, state->services);
    };
    const std::optional<ConsoleAnswer> described = co_await work_on(*statement, run, std::move(work));
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
    if (streams_to_client(*portal->statement)) {
        fail_to_sync(console_error("0A000", "CAPTURE START ... TO STDOUT is for the simple protocol"));
        co_return;
    }
    if (!portal->answer && portals_.waiting_bytes() > ConsolePortals::max_waiting) {
        fail_to_sync(console_error("53200", "too many results wait to be fetched"));
        co_return;
    }
    if (!portal->answer) {
        const bool is_answered = co_await run_portal(*portal);
        if (!is_answered) {
            fail_to_sync_silently();
            co_return;
        }
    }
    const bool forgets = discards(*portal->statement);
    std::uint64_t rows_left = max_rows == 0 ? std::numeric_limits<std::uint64_t>::max() : max_rows;
    Sent sent = append_rows(out_, *portal, rows_left);
    while (sent == Sent::part) {
        co_await flush();
        sent = append_rows(out_, *portal, rows_left);
    }
    if (sent == Sent::failed) fail_to_sync_silently();
    if (forgets) portals_.forget_all();
}

/// False: it is not answered, and the client was told why.
tls::Awaitable<bool> ConsoleSession::run_portal(Portal& portal) {
    const ConsoleStatement& statement = *portal.statement;
    if (const auto wrong = apply_setting(statement)) {
        fail(*wrong);
        co_return false;
    }
    ConsoleRun run = new_run();
    run.parameters = portal.parameters;
    auto work = [statement, run, asker = settings_.asker, state = settings_.state] {
        return answer(statement, run, asker, state->services);
    };
    std::optional<ConsoleAnswer> answered = co_await work_on(statement, run, std::move(work));
    if (!answered) co_return false;
    portal.answer = std::move(answered->messages);
    portal.share = std::move(answered->share);
    if (portal.column_types.empty()) portal.column_types = column_types(*portal.answer);
    co_return true;
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

}  // namespace proxy
