#include "protocol/exchange.hpp"

#include <algorithm>
#include <charconv>

#include "protocol/utf8.hpp"

namespace protocol {
namespace {

using StatementKind = CapturedStatement::Kind;
using Outcome = CapturedStatement::Outcome;

/// Ours. Requests without an answer: a batch of a driver has thousands.
constexpr std::size_t max_pending = 20'000;
/// Ours. Statements that wait for their ReadyForQuery.
constexpr std::size_t max_done = 1'000;
/// Ours. Names and texts of prepared statements, in bytes: beyond it, all are forgotten.
constexpr std::size_t max_prepared = 4 * 1024 * 1024;
constexpr std::size_t max_portals = 1'000;
constexpr std::size_t max_tags = 20;
/// NAMEDATALEN of PostgreSQL is 64; drivers' names of prepared statements are longer at times.
constexpr std::size_t max_name = 256;

/// Up to its NUL, or to the end of what is there.
std::string_view text_of(Reader& reader) noexcept {
    const std::string_view all = as_text(reader.rest());
    const std::string_view text = all.substr(0, all.find('\0'));
    reader.take(std::min(text.size() + 1, all.size()));
    return text;
}

std::string name_of(Reader& reader) { return std::string(text_of(reader).substr(0, max_name)); }

/// Redaction makes all names of one length one.
bool is_blanked(std::string_view name) noexcept {
    return !name.empty() && name.find_first_not_of('*') == std::string_view::npos;
}

/// What a prepared statement costs, with what the map needs for it.
std::size_t memory_of(const std::string& name, const std::string& text) noexcept {
    return name.size() + text.size() + 128;
}

/// The last word of "INSERT 0 5", when it is a number.
std::optional<std::uint64_t> rows_of(std::string_view tag) noexcept {
    const std::size_t space = tag.rfind(' ');
    if (space == std::string_view::npos) return std::nullopt;
    std::uint64_t rows = 0;
    const auto read = std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), rows);
    if (read.ec != std::errc() || read.ptr != tag.data() + tag.size()) return std::nullopt;
    return rows;
}

bool is_statement(char type) noexcept { return type == 'Q' || type == 'E' || type == 'F'; }
/// Whoever reads wants to hear of it, whatever becomes of it; '?': answered, and not seen.
bool is_told(char type) noexcept { return is_statement(type) || type == '?'; }
/// Answered by ReadyForQuery.
bool ends_turn(char type) noexcept { return type == 'Q' || type == 'S' || type == 'F'; }

}  // namespace

void Exchange::from_client(const CapturedMessage& message, std::uint64_t time) {
    const std::string_view asked = "QPBDECFS";
    if (message.type == 'd') return data(message, CapturedSide::client, time);
    if (asked.find(message.type) == std::string_view::npos) return;
    if (pending_.size() >= max_pending) overflowed_ = true;
    if (overflowed_) return;

    Request request{.type = message.type, .statement = {.begun = time, .missing = message.missing}};
    Reader body(message.body);
    switch (message.type) {
        case 'Q': {
            const std::string_view text = text_of(body);
            request.statement.text_size = std::max<std::size_t>(text.size(), message.size > 0 ? message.size - 1 : 0);
            request.statement.text = text.substr(0, max_peer_text);
            break;
        }
        case 'P': parse(body, message.size, request); break;
        case 'B': bind(body, request); break;
        case 'E': execute(body, request); break;
        case 'C': close(body); break;
        case 'F': request.statement.kind = StatementKind::function_call; break;
        case 'S': request.statement.kind = StatementKind::sync; break;
        default: request.statement.kind = StatementKind::prepare; break;
    }
    if (message.type == 'S') skipping_ = false;
    if (!skipping_) {
        pending_.push_back(std::move(request));
    } else if (is_statement(request.type)) {
        end(std::move(request), Outcome::skipped, 0);
    }
}

void Exchange::parse(Reader body, std::size_t size, Request& request) {
    CapturedStatement& statement = request.statement;
    statement.kind = StatementKind::prepare;
    statement.name = name_of(body);
    const std::size_t before = statement.name.size() + 1;
    const std::string_view text = text_of(body);
    const bool whole = before + text.size() < max_captured_body;
    statement.text = text.substr(0, max_peer_text);
    statement.text_size = whole || size < before ? text.size() : size - before;
    if (skipping_ || is_blanked(statement.name)) return;
    keep(statement);
}

void Exchange::keep(const CapturedStatement& statement) {
    forget(statement.name);
    if (kept_ > max_prepared) {
        prepared_.clear();
        kept_ = 0;
    }
    const auto [it, is_new] =
        prepared_.emplace(statement.name, Prepared{.text = statement.text, .size = statement.text_size});
    kept_ += memory_of(it->first, it->second.text);
}

void Exchange::forget(const std::string& name) {
    const auto found = prepared_.find(name);
    if (found == prepared_.end()) return;
    kept_ -= memory_of(found->first, found->second.text);
    prepared_.erase(found);
}

void Exchange::bind(Reader body, Request& request) {
    CapturedStatement& statement = request.statement;
    statement.kind = StatementKind::prepare;
    const std::string portal = name_of(body);
    statement.name = name_of(body);
    const auto found = prepared_.find(statement.name);
    statement.text_known = found != prepared_.end();
    if (statement.text_known) {
        statement.text = found->second.text;
        statement.text_size = found->second.size;
    }
    if (is_blanked(portal)) return;
    if (portals_.size() > max_portals) portals_.clear();
    portals_[portal] = {.statement = statement.name,
                        .text = {.text = statement.text, .size = statement.text_size},
                        .known = statement.text_known};
}

void Exchange::execute(Reader body, Request& request) {
    CapturedStatement& statement = request.statement;
    statement.kind = StatementKind::execute;
    const auto portal = portals_.find(name_of(body));
    statement.text_known = portal != portals_.end() && portal->second.known;
    if (portal == portals_.end()) return;
    statement.name = portal->second.statement;
    statement.text = portal->second.text.text;
    statement.text_size = portal->second.text.size;
}

void Exchange::close(Reader body) {
    const char what = static_cast<char>(body.u8());
    const std::string name = name_of(body);
    if (skipping_) return;
    if (what == 'S')
        forget(name);
    else
        portals_.erase(name);
}

Exchange::Request* Exchange::running() noexcept {
    return !pending_.empty() && is_statement(pending_.front().type) ? &pending_.front() : nullptr;
}

/// What the server answers now, also when its request was not seen.
Exchange::Request* Exchange::running_or_unknown(std::uint64_t time) {
    if (pending_.empty() && misses_requests_)
        pending_.push_back(
            {.type = '?', .statement = {.kind = StatementKind::unknown, .text_known = false, .begun = time}});
    if (!pending_.empty() && pending_.front().type == '?') return &pending_.front();
    return running();
}

bool Exchange::copying() const noexcept { return !pending_.empty() && pending_.front().copies; }

void Exchange::data(const CapturedMessage& message, CapturedSide from, std::uint64_t time) {
    Request* request = running();
    if (from == CapturedSide::client && !(request && request->copies)) {
        // Sent ahead of CopyInResponse.
        request = !pending_.empty() && is_statement(pending_.back().type) ? &pending_.back() : nullptr;
    }
    if (!request) return;
    CapturedStatement& statement = request->statement;
    ++statement.copy_messages;
    (from == CapturedSide::client ? statement.copied_in : statement.copied_out) += message.size;
    if (from == CapturedSide::server && statement.first_row == 0) statement.first_row = time;
}

void Exchange::from_server(const CapturedMessage& message, std::uint64_t time) {
    switch (message.type) {
        case 'D':
            if (Request* request = running_or_unknown(time)) {
                ++request->counted;
                if (request->statement.first_row == 0) request->statement.first_row = time;
            }
            break;
        case 'd': data(message, CapturedSide::server, time); break;
        case 'C': command_complete(message, time); break;
        case 'E': error(message, time); break;
        case 'Z': ready(message, time); break;
        case 'N':
            if (Request* request = running()) ++request->statement.notices;
            break;
        case 'A': ++notifications_; break;
        case 'G':
        case 'H':
        case 'W':
            if (Request* request = running()) request->copies = true;
            break;
        case 'I':
            if (Request* request = running(); request && request->type == 'E') pop(time);
            break;
        case 's':
            if (Request* request = running_or_unknown(time)) {
                request->statement.outcome = Outcome::suspended;
                pop(time);
            }
            break;
        case '1':
        case '2':
        case '3':
        case 'n':
        case 'T': {
            const char asked = message.type == '1' ? 'P' : message.type == '2' ? 'B' : message.type == '3' ? 'C' : 'D';
            if (!pending_.empty() && pending_.front().type == asked) pending_.pop_front();
            break;
        }
        default: break;
    }
}

void Exchange::command_complete(const CapturedMessage& message, std::uint64_t time) {
    Request* request = running_or_unknown(time);
    if (!request) return;
    CapturedStatement& statement = request->statement;
    Reader body(message.body);
    const std::string_view tag = text_of(body).substr(0, 64);
    if (statement.tags.size() < max_tags) statement.tags.emplace_back(tag);
    ++statement.commands;
    statement.rows += rows_of(tag).value_or(request->counted);
    statement.outcome = Outcome::completed;
    request->counted = 0;
    if (request->type != 'Q') pop(time);
}

void Exchange::error(const CapturedMessage& message, std::uint64_t time) {
    ErrorResponse error = captured_error(message.body);
    const bool ends_session = error.severity == "FATAL" || error.severity == "PANIC";
    if (ends_session) farewell_ = error;
    running_or_unknown(time);
    if (pending_.empty()) {
        if (!farewell_) farewell_ = error;
        return;
    }
    Request& request = pending_.front();
    request.statement.error = std::move(error);
    request.statement.outcome = Outcome::failed;
    request.statement.ended = time;
    if (request.type == 'P') forget(request.statement.name);
    const bool extended = !ends_turn(request.type) && request.type != '?';
    if (!ends_turn(request.type)) pop(time);
    if (extended) skip_to_sync();
}

/// What the server throws away.
void Exchange::skip_to_sync() {
    while (!pending_.empty() && pending_.front().type != 'S') {
        Request request = std::move(pending_.front());
        pending_.pop_front();
        if (request.type == 'P') forget(request.statement.name);
        if (is_statement(request.type)) end(std::move(request), Outcome::skipped, 0);
    }
    skipping_ = pending_.empty();
}

void Exchange::ready(const CapturedMessage& message, std::uint64_t time) {
    const char status = message.body.empty() ? '\0' : static_cast<char>(message.body[0]);
    transaction_ = status == 'I' || status == 'T' || status == 'E' ? status : '\0';
    while (!pending_.empty() && !ends_turn(pending_.front().type)) {  // never answered, or not as far as we saw
        Request request = std::move(pending_.front());
        pending_.pop_front();
        if (is_told(request.type)) end(std::move(request), Outcome::unanswered, 0);
    }
    if (!pending_.empty()) {
        Request& request = pending_.front();
        const bool asked = request.type != 'S';
        if (asked && request.statement.outcome == Outcome::unanswered) request.statement.outcome = Outcome::completed;
        if (asked || request.statement.error) {
            pop(time);
        } else {
            pending_.pop_front();
        }
    }
    for (CapturedStatement& statement : done_) statement.transaction = transaction_;
    hand_over();
}

/// The request in front is over, with the outcome that it has.
void Exchange::pop(std::uint64_t time) {
    Request request = std::move(pending_.front());
    pending_.pop_front();
    const Outcome outcome = request.statement.outcome == Outcome::unanswered && request.type == 'E'
                                ? Outcome::completed  // an empty query
                                : request.statement.outcome;
    end(std::move(request), outcome, time);
}

void Exchange::end(Request request, Outcome outcome, std::uint64_t time) {
    CapturedStatement& statement = request.statement;
    statement.outcome = outcome;
    if (time > 0) statement.ended = time;
    statement.rows += request.counted;
    done_.push_back(std::move(statement));
    if (done_.size() > max_done) hand_over();
}

void Exchange::hand_over() {
    while (!done_.empty()) {
        CapturedStatement statement = std::move(done_.front());
        done_.pop_front();
        sink_(std::move(statement));
    }
}

void Exchange::missing(std::uint64_t bytes) noexcept {
    if (!pending_.empty()) pending_.front().statement.missing += bytes;
}

void Exchange::give_up() {
    while (!pending_.empty()) {
        Request request = std::move(pending_.front());
        pending_.pop_front();
        const Outcome outcome = request.statement.error ? Outcome::failed : Outcome::unanswered;
        if (is_told(request.type) || request.statement.error) end(std::move(request), outcome, 0);
    }
    skipping_ = overflowed_ = false;
    hand_over();
}

}  // namespace protocol
