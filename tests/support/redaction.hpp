// Text and conversations as a capture would hold them, whole and in pieces: the same, or the test
// fails.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/redactor.hpp"
#include "protocol/sql_blanker.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"

namespace support {

using Sender = protocol::Redactor::Sender;
constexpr Sender client = Sender::client;
constexpr Sender server = Sender::server;

inline std::span<std::uint8_t> bytes_of(std::string& text, std::size_t from, std::size_t size) {
    return {reinterpret_cast<std::uint8_t*>(text.data()) + from, size};
}

/// Cut at every place once, into pieces of every small size, and at random: calls `in_pieces` with
/// the places where to cut, in ascending order.
template <class InPieces>
void for_every_cut(std::size_t size, InPieces in_pieces) {
    for (std::size_t at = 1; at < size; ++at) in_pieces(std::vector<std::size_t>{at});
    for (std::size_t piece = 1; piece < 12; ++piece) {
        std::vector<std::size_t> cuts;
        for (std::size_t at = piece; at < size; at += piece) cuts.push_back(at);
        in_pieces(cuts);
    }
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::size_t> cuts;
        for (std::size_t at = 1; at < size; ++at) {
            if (random() % 9 == 0) cuts.push_back(at);
        }
        in_pieces(cuts);
    }
}

/// SQL of one message, in a session whose client_encoding is UTF8 unless said otherwise.
inline std::string blanked_sql(protocol::SqlContent content, std::string_view sql,
                               std::string_view client_encoding = "UTF8") {
    const auto blanked = [&](const std::vector<std::size_t>& cuts) {
        protocol::SqlSession session;
        session.encoding.named(client_encoding);
        protocol::SqlBlanker blanker(content, session);
        std::string text(sql);
        blanker.begin();
        std::size_t from = 0;
        for (const std::size_t at : cuts) {
            blanker.blank(bytes_of(text, from, at - from));
            from = at;
        }
        blanker.blank(bytes_of(text, from, text.size() - from));
        blanker.end();
        return text;
    };
    const std::string whole = blanked({});
    for_every_cut(sql.size(), [&](const auto& cuts) {
        if (blanked(cuts) != whole) CHECK(blanked(cuts) == whole);
    });
    return whole;
}

struct Said {
    Sender sender;
    std::string bytes;
};
using Conversation = std::vector<Said>;

/// What is left of each.
inline std::vector<std::string> blanked(protocol::Payload payload, const Conversation& conversation) {
    const auto all = [&](auto blank_one) {
        protocol::Redactor redactor(payload);
        std::vector<std::string> left;
        for (const Said& said : conversation) {
            left.push_back(said.bytes);
            blank_one(redactor, said.sender, left.back());
        }
        return left;
    };
    const auto whole = all([](protocol::Redactor& redactor, Sender sender, std::string& text) {
        redactor.blank(sender, bytes_of(text, 0, text.size()));
    });
    std::size_t longest = 0;
    for (const Said& said : conversation) longest = std::max(longest, said.bytes.size());
    for_every_cut(longest, [&](const std::vector<std::size_t>& cuts) {
        const auto in_pieces = all([&](protocol::Redactor& redactor, Sender sender, std::string& text) {
            std::size_t from = 0;
            for (const std::size_t at : cuts) {
                if (at >= text.size()) break;
                redactor.blank(sender, bytes_of(text, from, at - from));
                from = at;
            }
            redactor.blank(sender, bytes_of(text, from, text.size() - from));
        });
        if (in_pieces != whole) CHECK(in_pieces == whole);
    });
    return whole;
}

/// Of the last one.
inline std::string last_blanked(protocol::Payload payload, const Conversation& conversation) {
    return blanked(payload, conversation).back();
}

// Parts of messages. A literal with NULs needs its size: "..."s.
inline std::string int32(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
}
inline std::string int16(std::uint16_t value) { return int32(value).substr(2); }
inline std::string cstring(std::string_view text) { return std::string(text) + '\0'; }
inline std::string value(std::string_view bytes) {
    return int32(static_cast<std::uint32_t>(bytes.size())) + std::string(bytes);
}
/// A packet without a type byte.
inline std::string opening(std::uint32_t code, std::string_view rest) {
    return int32(static_cast<std::uint32_t>(rest.size() + 8)) + int32(code) + std::string(rest);
}
inline std::string startup(std::string_view more = {}, std::uint32_t version = 0x30000) {
    return opening(version, cstring("user") + cstring("bob") + std::string(more) + '\0');
}

/// Behind the login of a client that speaks UTF-8.
inline Conversation logged_in() {
    return {{client, startup(cstring("client_encoding") + cstring("UTF8"))},
            {server, message('R', int32(0)) + message('Z', "I")}};
}
inline std::string last_blanked_behind_login(protocol::Payload payload, const Conversation& more) {
    Conversation all = logged_in();
    all.insert(all.end(), more.begin(), more.end());
    return last_blanked(payload, all);
}

}  // namespace support
