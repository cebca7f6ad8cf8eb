// From the blocks of capture files to sessions. A session is handed over when it is over: its
// connection was closed and its last audit event has come, or a few seconds of the capture have
// passed. What it holds in memory is bounded, however long the files are.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "config/config.hpp"
#include "protocol/captured_leg.hpp"
#include "protocol/pcapng_reader.hpp"
#include "protocol/tcp_packet.hpp"
#include "proxy/transcript/capture_name.hpp"
#include "proxy/transcript/lacks.hpp"
#include "proxy/transcript/read_session.hpp"
#include "proxy/transcript/session_facts.hpp"
#include "proxy/transcript/told_sessions.hpp"

namespace proxy::transcript {

/// All that are given must match.
struct ReadFilter {
    std::string session;
    std::string user;
    std::string database;
    std::optional<config::Cidr> client;

    bool matches(const ReadSession& session) const;
    bool names_sessions() const noexcept { return client || !session.empty() || !user.empty() || !database.empty(); }
    /// It failed before it had the names that are asked for; all else matches.
    bool lacks_names(const ReadSession& session) const;
    /// False: it will not match, whatever else becomes known.
    bool may_match(const SessionFacts& facts) const;
};

/// Something that happened to the proxy meanwhile.
struct ProcessEvent {
    std::uint64_t time = 0;
    std::string text;
};

/// Ours.
struct ReadingLimits {
    std::size_t sessions = 50'000;                     ///< that are open at the same time in the capture
    std::size_t kept = std::size_t{128} << 20;         ///< bytes of statements, of all open sessions
    std::size_t session_kept = std::size_t{32} << 20;  ///< and of one of them
};

class Reading {
   public:
    /// Called for each session that matches, when it is over.
    using Sink = std::function<void(ReadSession&&)>;
    Reading(ReadFilter filter, Sink sink, ReadingLimits limits = {});
    ~Reading();

    void begin_file(const std::string& path);
    void block(const protocol::pcapng::Block& block);
    void end_file(const protocol::pcapng::BlockReader& reader);
    /// One of the files, and why.
    void cannot_open(const std::string& path, const std::string& why) { lacks_.cannot_open(path, why); }
    /// A ring goes on with this file, which was not given.
    void ring_goes_on(const std::string& path) { lacks_.ring_goes_on(path); }
    /// Of the last one.
    void file_lacks(const std::string& why) { lacks_.file_lacks(why); }
    /// Nothing has come for a while: what waits for its last event waits no more.
    void quiet();
    /// Nothing more will come, unless files of another capture do: what was told already is then
    /// passed over.
    void end();

    /// Nothing more will come at all: sessions that their captures do not have are handed over,
    /// unless another one has them.
    void end_of_all();

    /// Of the sessions that were handed over, and of the files.
    const Lacks& lacks() const noexcept { return lacks_; }
    const std::deque<ProcessEvent>& events() const noexcept { return events_; }
    std::uint64_t sessions() const noexcept { return handed_over_; }
    std::uint64_t left_aside() const noexcept { return left_aside_; }  ///< they do not match
    std::uint64_t first_time() const noexcept { return first_time_; }
    std::uint64_t last_time() const noexcept { return last_time_; }

   private:
    struct Interface {
        std::string name;
        protocol::CapturedLeg leg;
    };
    struct Conversation;
    struct Live;
    using LivePointer = std::shared_ptr<Live>;
    /// Both ends, as they stand in the packets, and the leg.
    using Key = std::string;

    void section(const protocol::pcapng::SectionBlock& section);
    std::string of_capture(const std::string& name) const;
    void packet(const protocol::pcapng::PacketBlock& packet);
    void journal(const protocol::pcapng::JournalBlock& entry);
    void absence(const AuditEvent& event, std::uint64_t time);
    void unknown_absence(const AuditEvent& event);
    void process_event(const AuditEvent& event, std::uint64_t time);
    void take_event(Live& live, AuditEvent event, std::uint64_t time);
    LivePointer session_of(const SessionFacts& facts, const std::string& client, bool ended = false);
    Conversation* conversation_of(const Key& key, const protocol::TcpPacket& tcp,
                                  const protocol::pcapng::PacketBlock& packet, const protocol::CapturedEnds& ends);
    LivePointer begin_session(const Key& key, std::uint64_t time);
    void comments(const LivePointer& live, const protocol::pcapng::PacketBlock& packet);
    void know(const LivePointer& live, const std::string& client);
    void keep(Live& live, protocol::CapturedEntry&& entry);
    void feed(Conversation& conversation, const protocol::TcpPacket& tcp, std::uint64_t time, bool from_client);
    void close(const LivePointer& live, std::uint64_t time);
    void finish(const LivePointer& live);
    void hand_over(Live& live);
    void time_is(std::uint64_t time);

    ReadFilter filter_;
    Sink sink_;
    ReadingLimits limits_;
    Lacks lacks_;
    std::string path_;
    std::size_t capture_ = 0;  // the one that is read, of captures_
    std::vector<CaptureName> captures_;
    ToldSessions told_;
    std::uint64_t now_ = 0;              // of this capture
    std::vector<Interface> interfaces_;  // of this section
    std::map<Key, std::unique_ptr<Conversation>> conversations_;
    std::map<std::string, LivePointer> by_session_;
    std::map<std::string, LivePointer> by_client_;  // "address port"
    std::map<std::uint64_t, LivePointer> live_;     // in the order in which they began
    std::set<Key> refused_;                         // there was no room for them
    std::deque<LivePointer> closing_;               // the oldest first
    std::vector<Live> absent_;                      // over, and of no capture that was read so far
    std::deque<ProcessEvent> events_;
    std::size_t kept_ = 0;
    std::uint64_t begun_ = 0;
    std::uint64_t handed_over_ = 0;
    std::uint64_t left_aside_ = 0;
    std::uint64_t first_time_ = 0;
    std::uint64_t last_time_ = 0;
};

}  // namespace proxy::transcript
