#include "bench/replay/plan_builder.hpp"

#include <algorithm>

#include "bench/replay/guarded_settings.hpp"
#include "bench/replay/sql_rules.hpp"

namespace bench::replay {
namespace {

using protocol::Bytes;
using protocol::CapturedSide;

constexpr std::size_t max_message = 0x3fffffff;
/// Of a unit or a statement, beside what it says.
constexpr std::size_t overhead = 256;

}  // namespace

PlanBuilder::PlanBuilder(PlanRules rules)
    : rules_(rules), judge_(rules.writes), client_(max_message), server_(rules.hash_rows) {}

void PlanBuilder::segment(const protocol::CapturedSegment& segment) {
    if (plan_.started == 0) plan_.started = segment.time;
    plan_.ended = std::max(plan_.ended, segment.time);
    const auto piece = streams_[static_cast<std::size_t>(segment.from)].segment(segment);
    if (!plan_.cut.empty()) return;
    if (piece.missing > 0) return cut("bytes are missing in the capture");
    if (piece.bytes.empty()) return;
    if (segment.from == CapturedSide::client) return from_client(piece.bytes, segment.time);
    from_server(piece.bytes, segment.time);
    last_time_ = segment.time;
}

void PlanBuilder::cut(const std::string& why) {
    if (plan_.cut.empty()) plan_.cut = why;
}

void PlanBuilder::from_client(Bytes bytes, std::uint64_t time) {
    while (in_opening_ && !bytes.empty() && plan_.cut.empty()) {
        const bool has_length = opening_.size() >= protocol::opening_length_size;
        const std::size_t size =
            has_length ? protocol::opening_packet_size(opening_).value_or(0) : protocol::opening_length_size;
        if (size < opening_.size()) return cut("it does not begin as a session of PostgreSQL does");
        const Bytes part = bytes.first(std::min(size - opening_.size(), bytes.size()));
        opening_.insert(opening_.end(), part.begin(), part.end());
        bytes = bytes.subspan(part.size());
        if (has_length && opening_.size() == size) {
            opening(opening_);
            opening_.clear();
        }
    }
    const bool enough = rules_.openings && !in_opening_;
    if (enough) return;
    client_.append(bytes);
    while (plan_.cut.empty()) {
        const auto next = client_.next();
        if (!next) break;
        message(*next, time);
        last_time_ = time;
    }
    if (client_.oversized()) cut("what the client says is no message of PostgreSQL's protocol");
}

void PlanBuilder::opening(Bytes packet) {
    const protocol::OpeningPacket parsed = protocol::parse_opening(packet);
    if (const auto* startup_message = std::get_if<protocol::StartupMessage>(&parsed)) {
        startup(*startup_message);
        in_opening_ = false;
    } else if (const auto* cancel = std::get_if<protocol::CancelRequest>(&parsed)) {
        plan_.cancels_pid = cancel->pid;
    } else if (std::holds_alternative<protocol::Fault>(parsed)) {
        cut("it does not begin as a session of PostgreSQL does");
    } else {
        plan_.ssl_requested = plan_.ssl_requested || std::holds_alternative<protocol::SSLRequest>(parsed);
        awaits_letter_ = true;
    }
}

void PlanBuilder::startup(protocol::StartupMessage message) {
    const auto blanked = [](const std::pair<std::string, std::string>& parameter) {
        return value_looks_blanked(protocol::as_bytes(parameter.first), true) ||
               value_looks_blanked(protocol::as_bytes(parameter.second), true);
    };
    plan_.startup_blanked = std::erase_if(message.parameters, blanked) > 0;
    if (!rules_.writes && !rules_.openings) plan_.startup_guarded = remove_guarded(message);
    plan_.startup = std::move(message);
}

void PlanBuilder::from_server(Bytes bytes, std::uint64_t time) {
    if (awaits_letter_ && !bytes.empty()) {
        awaits_letter_ = false;
        if (bytes[0] != 'E') bytes = bytes.subspan(1);
    }
    while (plan_.cut.empty() && !(rules_.openings && logged_in_)) {
        const auto type = server_.next(bytes);
        if (!type) break;
        server_message(*type, time);
    }
    if (server_.broken()) cut("what the server says is no message of PostgreSQL's protocol");
}

void PlanBuilder::server_message(char type, std::uint64_t time) {
    if (logged_in_) {
        if (type == 'Z') answered(time);
        return;
    }
    if (type == 'K') plan_.backend_pid = protocol::Reader(server_.body()).u32();
    if (type == 'E' && plan_.login == Login::unknown) {
        plan_.login = Login::refused;
        plan_.sqlstate = protocol::parse_error_response(server_.body()).sqlstate;
    }
    if (type != 'Z') return;
    plan_.login = Login::accepted;
    logged_in_ = true;
    server_.take();
}

void PlanBuilder::message(const protocol::Message& message, std::uint64_t time) {
    if (message.type == 'X' || message.type == 'p') return;
    Open& open = open_unit(message.type);
    Unit& unit = open.unit;
    const protocol::Reader body(message.body);
    const bool copies = message.type == 'd' || message.type == 'c' || message.type == 'f';
    LeftOut why = LeftOut::no;
    switch (message.type) {
        case 'Q': {
            const std::string_view sql = protocol::Reader(body).cstring();
            why = judge_.query(sql);
            add_statement(unit, beginning_of(sql), why);
            break;
        }
        case 'P':
            why = judge_.parse(body);
            plan_.bytes += overhead;
            break;
        case 'B': why = judge_.bind(body); break;
        case 'D':
        case 'C': why = judge_.named(body); break;
        case 'E': {
            std::string sql;
            why = judge_.execute(body, sql);
            add_statement(unit, sql, why);
            break;
        }
        case 'F':
            why = rules_.writes ? LeftOut::no : LeftOut::writes;
            add_statement(unit, "a function call", why);
            break;
        case 'd':
            // What it stands on is left out with it.
            if (value_looks_blanked(message.body, false)) unit.left_out = LeftOut::blanked;
            break;
        case 'c':
        case 'f':
        case 'S':
        case 'H': break;
        default: return cut("what the client says is no message of PostgreSQL's protocol");
    }
    unit.copies_in = unit.copies_in || copies;
    unit.extended = unit.extended || (message.type != 'Q' && message.type != 'F' && !copies);
    open.copy_ended = message.type == 'c' || message.type == 'f';
    const bool closes = message.type == 'Q' || message.type == 'S' || message.type == 'F';
    const bool asks = closes && !open.closed;
    if (asks) {
        open.closed = true;
        unit.asked = time;
    }
    Said said{.request = {.bytes = {message.whole.begin(), message.whole.end()},
                          .awaited = {.unit = plan_.units.size(), .parts = server_.parts()},
                          .delay = Duration(last_time_ > 0 && time > last_time_ ? time - last_time_ : 0),
                          .asks = asks},
              .left_out = why};
    plan_.bytes += message.whole.size() + overhead / 4;
    open.said.push_back(std::move(said));
}

/// The one that a message belongs to.
PlanBuilder::Open& PlanBuilder::open_unit(char type) {
    const bool copies = type == 'd' || type == 'c' || type == 'f';
    if (!open_.empty()) {
        Open& last = open_.back();
        const bool second_sync = type == 'S' && last.copy_ended && last.unit.extended;
        if (!last.closed || copies || second_sync) return last;
    }
    open_.emplace_back();
    plan_.bytes += overhead;
    return open_.back();
}

void PlanBuilder::add_statement(Unit& unit, const std::string& sql, LeftOut why) {
    unit.statements.push_back({.number = ++plan_.statements, .sql = sql, .left_out = why});
    plan_.bytes += overhead;
}

void PlanBuilder::answered(std::uint64_t time) {
    if (open_.empty() || !open_.front().closed) return cut("bytes are missing in the capture");  // the request
    Open& open = open_.front();
    open.unit.expected = server_.take();
    if (time > open.unit.asked) open.unit.took = Duration(time - open.unit.asked);
    close_unit(open);
    open_.erase(open_.begin());
}

/// What is left out is taken out of its requests and of its answer.
void PlanBuilder::close_unit(Open& open) {
    Unit& unit = open.unit;
    auto& results = unit.expected.results;
    const bool whole = unit.left_out != LeftOut::no;
    for (Statement& statement : unit.statements) {
        if (whole && statement.left_out == LeftOut::no) statement.left_out = unit.left_out;
        if (statement.left_out != LeftOut::no) ++plan_.left_out[static_cast<std::size_t>(statement.left_out)];
    }
    for (std::size_t i = unit.statements.size(); unit.extended && i-- > 0;) {
        if (unit.statements[i].left_out != LeftOut::no && i < results.size())
            results.erase(results.begin() + static_cast<std::ptrdiff_t>(i));
    }
    const auto is_said = [](const Said& said) {
        const auto type = static_cast<char>(said.request.bytes[0]);
        return said.left_out == LeftOut::no && type != 'S' && type != 'H' && type != 'd' && type != 'c' && type != 'f';
    };
    const bool only_sync = std::all_of(open.said.begin(), open.said.end(), [](const Said& said) {
        return said.request.bytes[0] == 'S' || said.request.bytes[0] == 'H';
    });
    if (!whole && (only_sync || std::any_of(open.said.begin(), open.said.end(), is_said))) {
        for (Said& said : open.said) {
            if (said.left_out != LeftOut::no) continue;
            auto& requests = unit.requests;
            const bool at_once =
                !requests.empty() && said.request.delay.count() == 0 && requests.back().awaited == said.request.awaited;
            if (at_once) {
                requests.back().asks = requests.back().asks || said.request.asks;
                requests.back().bytes.insert(requests.back().bytes.end(), said.request.bytes.begin(),
                                             said.request.bytes.end());
            } else {
                requests.push_back(std::move(said.request));
            }
        }
    } else if (!whole) {
        unit.left_out = LeftOut::writes;
        for (const Said& said : open.said) {
            if (said.left_out != LeftOut::no) unit.left_out = said.left_out;
        }
    }
    plan_.units.push_back(std::move(unit));
}

SessionPlan PlanBuilder::finish() {
    for (Open& open : open_) {
        open.unit.left_out = LeftOut::unanswered;
        close_unit(open);
    }
    open_.clear();
    return std::move(plan_);
}

}  // namespace bench::replay
