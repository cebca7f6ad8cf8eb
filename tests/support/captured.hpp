// A captured conversation, segment by segment, and its transcript as text.
#pragma once

#include <sstream>

#include "protocol/transcript.hpp"
#include "support/messages.hpp"

namespace support {

using protocol::CapturedSide;

/// What a statement was, in one line: `execute "select 1" completed [SELECT 1] rows 1 T`.
inline std::string to_text(const protocol::CapturedStatement& statement) {
    constexpr const char* kinds[] = {"query", "execute", "prepare", "function_call", "sync", "unknown"};
    constexpr const char* outcomes[] = {"completed", "suspended", "failed", "skipped", "unanswered"};
    std::ostringstream out;
    out << kinds[static_cast<int>(statement.kind)] << " \"" << (statement.text_known ? statement.text : "?") << '"';
    if (!statement.name.empty()) out << " named " << statement.name;
    out << ' ' << outcomes[static_cast<int>(statement.outcome)];
    for (const std::string& tag : statement.tags) out << " [" << tag << ']';
    if (statement.rows > 0) out << " rows " << statement.rows;
    if (statement.copied_in > 0) out << " in " << statement.copied_in;
    if (statement.copied_out > 0) out << " out " << statement.copied_out;
    if (statement.notices > 0) out << " notices " << statement.notices;
    if (statement.missing > 0) out << " missing " << statement.missing;
    if (statement.error) out << " error " << statement.error->sqlstate;
    if (statement.ended > 0) out << " after " << statement.ended - statement.begun;
    if (statement.transaction != '\0') out << ' ' << statement.transaction;
    return out.str();
}

inline std::string to_text(const protocol::CapturedEntry& entry) {
    if (const auto* statement = std::get_if<protocol::CapturedStatement>(&entry)) return to_text(*statement);
    if (const auto* gap = std::get_if<protocol::CapturedGap>(&entry)) {
        return std::string("gap of ") + (gap->from == CapturedSide::client ? "client " : "server ") +
               std::to_string(gap->bytes) + (gap->lost ? " lost" : "");
    }
    return "found behind " + std::to_string(std::get<protocol::CapturedFind>(entry).unreadable);
}

/// Time goes on by one for each turn.
class Captured {
   public:
    /// Segments hold at most `piece` bytes.
    explicit Captured(std::size_t piece = 60'000) : piece_(piece) {}

    Captured& open() {
        for (auto side : {CapturedSide::client, CapturedSide::server}) {
            transcript.segment({.from = side, .time = time_, .sequence = 0, .syn = true, .payload = {}});
        }
        return *this;
    }
    Captured& client(std::string_view bytes) { return say(CapturedSide::client, bytes); }
    Captured& server(std::string_view bytes) { return say(CapturedSide::server, bytes); }
    Captured& lose(CapturedSide side, std::size_t size) {
        sequence(side) += static_cast<std::uint32_t>(size);
        return *this;
    }
    Captured& end() {
        transcript.end();
        return *this;
    }
    /// Up to ReadyForQuery, by a user that needs no password.
    Captured& log_in() {
        open();
        client(protocol::as_text(protocol::serialize(
            protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "app"}, {"database", "orders"}}})));
        return server(message('R', std::string(4, '\0')) + ready());
    }

    static std::string ready(char status = 'I') { return message('Z', std::string(1, status)); }
    static std::string query(std::string_view sql) { return message('Q', std::string(sql) + '\0'); }
    static std::string complete(std::string_view tag) { return message('C', std::string(tag) + '\0'); }
    static std::string error(std::string_view sqlstate, std::string_view severity = "ERROR") {
        using std::string_literals::operator""s;
        return message('E', "S"s + std::string(severity) + "\0V"s + std::string(severity) + "\0C"s +
                                std::string(sqlstate) + "\0Msomething\0\0"s);
    }
    static std::string parse(std::string_view name, std::string_view sql) {
        return message('P', std::string(name) + '\0' + std::string(sql) + '\0' + std::string(2, '\0'));
    }
    static std::string bind(std::string_view portal, std::string_view statement) {
        return message('B', std::string(portal) + '\0' + std::string(statement) + '\0' + std::string(6, '\0'));
    }
    static std::string execute(std::string_view portal) {
        return message('E', std::string(portal) + std::string(5, '\0'));
    }

    std::vector<std::string> told;
    protocol::Transcript transcript{[this](protocol::CapturedEntry&& entry) { told.push_back(to_text(entry)); }};

   private:
    std::uint32_t& sequence(CapturedSide side) { return sequences_[static_cast<std::size_t>(side)]; }
    Captured& say(CapturedSide side, std::string_view bytes) {
        ++time_;
        while (!bytes.empty()) {
            const std::string_view part = bytes.substr(0, piece_);
            bytes.remove_prefix(part.size());
            transcript.segment(
                {.from = side, .time = time_, .sequence = sequence(side), .payload = protocol::as_bytes(part)});
            sequence(side) += static_cast<std::uint32_t>(part.size());
        }
        return *this;
    }

    std::size_t piece_;
    std::uint64_t time_ = 1000;
    std::uint32_t sequences_[2] = {1, 1};
};

}  // namespace support
