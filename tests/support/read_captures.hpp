// Blocks of captures, and what `capture read` makes of them.
#pragma once

#include <algorithm>

#include "protocol/tcp_conversation.hpp"
#include "proxy/transcript/summary.hpp"
#include "support/captured.hpp"

namespace support {

namespace pcapng = protocol::pcapng;
namespace transcript = proxy::transcript;
using protocol::TcpConversation;
using Sender = TcpConversation::Sender;

inline constexpr std::uint64_t start = 1'772'330'400'000'000'000, ms = 1'000'000;

/// Blocks go straight from conversations to a Reading.
struct Fed {
    static constexpr const char* headers = "capture 1 by uid 0; payload=headers; failures only";

    explicit Fed(transcript::ReadFilter filter = {}, transcript::ReadingLimits limits = {},
                 const std::string& comment = headers)
        : reading(
              std::move(filter), [this](transcript::ReadSession&& session) { take(std::move(session)); }, limits) {
        begin("capture-20260301T020000Z-1.pcapng", comment);
    }
    void begin(const std::string& file, const std::string& comment = headers) {
        reading.begin_file(file);
        reading.block(pcapng::SectionBlock{.application = {}, .system = {}, .comments = {comment}});
        for (const char* leg : {"orders client leg", "orders server leg"})
            reading.block(pcapng::InterfaceBlock{.number = 0, .link_type = 101, .name = leg, .description = {}});
    }
    void take(transcript::ReadSession&& session) {
        summary.add(session);
        sessions.push_back(std::move(session));
    }
    TcpConversation::Sink sink(std::uint64_t time, std::vector<std::string> comments = {}) {
        return [this, time, comments](Sender from, protocol::Bytes bytes) mutable {
            reading.block(pcapng::PacketBlock{
                .interface = 0,
                .time = time,
                .bytes = {bytes.begin(), bytes.end()},
                .original_size = bytes.size(),
                .direction = from == Sender::client ? pcapng::Direction::inbound : pcapng::Direction::outbound,
                .id = {},
                .process = {},
                .comments = std::exchange(comments, {})});
        };
    }
    void event(std::uint64_t time, const std::string& line) {
        reading.block(
            pcapng::JournalBlock{.fields = {{"__REALTIME_TIMESTAMP", std::to_string(time / 1000)}, {"MESSAGE", line}}});
    }

    std::vector<transcript::ReadSession> sessions;
    transcript::Summary summary{start + 1000 * ms};
    transcript::Reading reading;
};

struct Talk {
    Talk(Fed& fed, std::uint64_t time, std::uint16_t port, const std::string& comment)
        : tcp(protocol::endpoint("10.0.0.7", port), protocol::endpoint("10.0.0.1", 5432)), fed_(fed) {
        tcp.open(fed.sink(time, comment.empty() ? std::vector<std::string>() : std::vector{comment}));
    }
    Talk& say(std::uint64_t time, Sender from, std::string_view bytes) {
        tcp.data(from, protocol::as_bytes(bytes), fed_.sink(time));
        return *this;
    }
    Talk& log_in(std::uint64_t time) {
        say(time, Sender::client,
            protocol::as_text(protocol::serialize(protocol::StartupMessage{
                .version = 3 << 16, .parameters = {{"user", "app"}, {"database", "orders"}}})));
        return say(time + ms, Sender::server, message('R', std::string(4, '\0')) + Captured::ready());
    }
    Talk& close(std::uint64_t time) {
        tcp.close(Sender::client, false, fed_.sink(time));
        return *this;
    }
    TcpConversation tcp;

   private:
    Fed& fed_;
};

inline bool says(const std::vector<std::string>& texts, std::string_view what) {
    return std::any_of(texts.begin(), texts.end(), [&](const auto& text) { return text.find(what) != text.npos; });
}

}  // namespace support
