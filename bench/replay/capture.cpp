#include "bench/replay/capture.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <tuple>

#include "bench/replay/capture_lacks.hpp"
#include "bench/replay/handshake_records.hpp"
#include "bench/replay/sql_rules.hpp"
#include "bench/target/interrupt.hpp"
#include "protocol/capture_comment.hpp"
#include "protocol/capture_ring.hpp"
#include "protocol/captured_leg.hpp"

namespace bench::replay {
namespace {

namespace pcapng = protocol::pcapng;

constexpr std::size_t piece = 256 * 1024;
/// Of a session, beside its plan.
constexpr std::size_t session_overhead = 2048;

protocol::DatedFile dated_file(const std::string& path) {
    protocol::DatedFile dated{.path = path};
    struct stat status {};
    const bool is_file = ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (!is_file) return dated;  // what is a pipe is opened once
    dated.file = {status.st_dev, status.st_ino};
    std::ifstream in(path, std::ios::binary);
    protocol::FirstPacket first;
    std::vector<char> buffer(piece);
    for (bool more = true; more;) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        const std::string_view text(buffer.data(), static_cast<std::size_t>(in.gcount()));
        more = !text.empty() && first.look_at(protocol::as_bytes(text));
    }
    dated.time = first.time();
    return dated;
}

/// A folder stands for the capture files in it.
std::vector<std::string> files_of(const std::string& path) {
    std::error_code none;
    if (!std::filesystem::is_directory(path, none)) return {path};
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        if (entry.path().extension() == ".pcapng") out.push_back(entry.path().string());
    }
    if (out.empty()) throw std::runtime_error(path + ": there is no file in it whose name ends in .pcapng");
    std::sort(out.begin(), out.end());
    return out;
}

/// Files with which rings go on behind the last that was given.
std::vector<std::string> not_given_after(const std::vector<std::string>& files) {
    std::map<std::string, protocol::RingFile> last;
    for (const std::string& path : files) {
        const auto ring = protocol::ring_file(path);
        if (!ring) continue;
        const auto [at, is_new] = last.try_emplace(ring->before, *ring);
        if (!is_new && ring->number > at->second.number) at->second = *ring;
    }
    std::vector<std::string> out;
    for (const auto& [before, ring] : last) {
        std::error_code none;
        std::string next = ring.path(ring.number + 1);
        if (std::filesystem::exists(next, none)) out.push_back(std::move(next));
    }
    return out;
}

class Reading {
   public:
    Reading(const PlanRules& rules, const std::set<std::string>& only) : rules_(rules), only_(only) {}

    void file(const std::string& path);
    void ring_goes_on(const std::string& path) { lacks_.ring_goes_on(path); }
    Capture finish();

   private:
    struct Conversation {
        explicit Conversation(const PlanRules& rules) : builder(rules) {}
        SessionFacts facts;
        PlanBuilder builder;
        bool openings = false;  // of its section
        bool closed = false;
    };

    void block(const pcapng::Block& block);
    void packet(const pcapng::PacketBlock& packet);
    void feed(Conversation& conversation, const protocol::TcpPacket& tcp, std::uint64_t time, bool from_client);
    Conversation* conversation_of(const protocol::TcpPacket& tcp, const protocol::CapturedEnds& ends,
                                  const SessionFacts& facts);
    void session(Conversation& conversation);
    void each_once();
    void failures_without_packets();
    void place_cancels();
    void count(std::size_t bytes);

    PlanRules rules_;
    const std::set<std::string>& only_;
    Capture capture_;
    std::string payload_;                                                 // of this section
    std::vector<bool> client_legs_;                                       // by interface of this section
    std::map<std::string, std::unique_ptr<Conversation>> conversations_;  // by capture and both ends
    HandshakeRecords records_;
    CaptureLacks lacks_;
    std::map<std::string, SessionFacts> events_;  // by session
    std::set<std::string> blanked_events_;        // sessions whose events stand beside blanked statements
    std::size_t bytes_ = 0;
    std::uint64_t undecoded_ = 0;
};

void Reading::count(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > max_plans)
        throw std::runtime_error("what its sessions say takes more than " + std::to_string(max_plans >> 20) +
                                 " MiB of memory: play some of them at a time, by --session");
}

void Reading::file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
    lacks_.file(path);
    pcapng::BlockReader reader;
    std::vector<char> buffer(piece);
    while (reader.error().empty() && !interrupted()) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        protocol::Bytes bytes = protocol::as_bytes({buffer.data(), static_cast<std::size_t>(in.gcount())});
        if (bytes.empty()) break;
        while (const auto one = reader.next(bytes)) block(*one);
    }
    if (interrupted()) throw Interrupted();
    if (!reader.error().empty() && conversations_.empty() && capture_.payloads.empty())
        throw std::runtime_error(path + ": " + reader.error());
    lacks_.end_of_file(reader);
}

void Reading::block(const pcapng::Block& block) {
    lacks_.block(block);
    if (const auto* section = std::get_if<pcapng::SectionBlock>(&block)) {
        client_legs_.clear();
        payload_.clear();
        for (const std::string& comment : section->comments) {
            if (const std::string payload = protocol::payload_of(comment); !payload.empty()) payload_ = payload;
        }
        capture_.payloads.insert(payload_);
    } else if (const auto* interface = std::get_if<pcapng::InterfaceBlock>(&block)) {
        const protocol::CapturedLeg leg = protocol::captured_leg(*interface);
        client_legs_.push_back(leg.readable && leg.side == protocol::CapturedLeg::Side::client);
    } else if (const auto* one = std::get_if<pcapng::PacketBlock>(&block)) {
        packet(*one);
    } else if (const auto* entry = std::get_if<pcapng::JournalBlock>(&block)) {
        const auto facts = facts_of(*entry);
        if (!facts || (!only_.empty() && !only_.contains(facts->session))) return;
        const auto [at, is_new] = events_.try_emplace(facts->session);
        if (is_new) count(session_overhead);
        merge(at->second, *facts);
        if (payload_ != "full") blanked_events_.insert(facts->session);
    }
}

void Reading::packet(const pcapng::PacketBlock& packet) {
    const bool client_leg = packet.interface < client_legs_.size() && client_legs_[packet.interface];
    if (!client_leg) return;
    const auto tcp = protocol::decode_tcp_packet(packet.bytes);
    if (!tcp) {
        ++undecoded_;
        return;
    }
    const auto ends = protocol::captured_ends(*tcp, packet, protocol::CapturedLeg::Side::client);
    SessionFacts facts;
    for (const std::string& comment : packet.comments) take_comment(facts, comment);
    if (!facts.session.empty()) lacks_.has_session(facts.session);
    const std::size_t before = records_.bytes();
    if (records_.take(*tcp, packet.time, ends, facts)) return count(records_.bytes() - before);
    Conversation* conversation = conversation_of(*tcp, ends, facts);
    for (const std::string& comment : packet.comments) {
        if (!take_comment(conversation->facts, comment) && comment.starts_with("framing lost"))
            conversation->builder.cut("what follows was blanked: its framing was lost");
    }
    feed(*conversation, *tcp, packet.time, ends.from_client);
}

Reading::Conversation* Reading::conversation_of(const protocol::TcpPacket& tcp, const protocol::CapturedEnds& ends,
                                                const SessionFacts& facts) {
    // Captures that ran side by side have the same conversations.
    auto& place = conversations_[lacks_.capture_name() + "\n" + ends.key()];
    const bool opens = (tcp.flags & protocol::tcp_flag::syn) && !(tcp.flags & protocol::tcp_flag::ack);
    const bool another =
        place && ((opens && place->closed) ||
                  (!facts.session.empty() && !place->facts.session.empty() && facts.session != place->facts.session));
    if (another) {
        session(*place);  // its port is used again
        place.reset();
    }
    if (!place) {
        PlanRules rules = rules_;
        // A CancelRequest is a session of another name: all are looked at so far.
        const bool wanted = only_.empty() || only_.contains(facts.session);
        rules.openings = rules.openings || payload_ != "full" || !wanted;
        place = std::make_unique<Conversation>(rules);
        place->openings = payload_ != "full";
        count(session_overhead);
    }
    return place.get();
}

void Reading::feed(Conversation& conversation, const protocol::TcpPacket& tcp, std::uint64_t time, bool from_client) {
    const auto has = [&](std::uint8_t flag) { return (tcp.flags & flag) != 0; };
    if (has(protocol::tcp_flag::fin) || has(protocol::tcp_flag::rst)) conversation.closed = true;
    const std::size_t before = conversation.builder.plan().bytes;
    conversation.builder.segment({.from = from_client ? protocol::CapturedSide::client : protocol::CapturedSide::server,
                                  .time = time,
                                  .sequence = tcp.sequence,
                                  .syn = has(protocol::tcp_flag::syn),
                                  .fin = has(protocol::tcp_flag::fin),
                                  .rst = has(protocol::tcp_flag::rst),
                                  .payload = tcp.payload});
    count(conversation.builder.plan().bytes - before);
}

void Reading::session(Conversation& conversation) {
    CapturedSession session{.facts = conversation.facts,
                            .plan = conversation.builder.finish(),
                            .offer = {},
                            .left_out = {},
                            .openings = conversation.openings};
    const bool wanted = only_.empty() || only_.contains(session.facts.session) || session.plan.cancels_pid;
    if (!wanted) return;
    if (const auto events = events_.find(session.facts.session); events != events_.end())
        merge(session.facts, events->second);
    SessionPlan& plan = session.plan;
    if (plan.backend_pid == 0) plan.backend_pid = session.facts.backend_pid;
    if (session.facts.joined) {
        session.left_out = "was open before the capture began";
    } else if (!plan.startup && !plan.cancels_pid) {
        session.left_out = "has no StartupMessage in the capture";
    } else if (plan.startup && !plan.startup->find("replication").empty()) {
        session.left_out = "is a replication connection";
    }
    capture_.sessions.push_back(std::move(session));
}

/// TLS that failed: there is nothing in clear.
void Reading::failures_without_packets() {
    std::set<std::string> known;
    for (const CapturedSession& session : capture_.sessions) {
        if (session.left_out.empty()) known.insert(session.facts.session);
    }
    std::erase_if(capture_.sessions, [&](const CapturedSession& session) {
        const auto found = events_.find(session.facts.session);
        return !session.left_out.empty() && found != events_.end() && found->second.failed == "tls_failed";
    });
    for (const auto& [name, facts] : events_) {
        if (facts.failed == "tls_failed" && !known.contains(name))
            capture_.sessions.push_back(
                {.facts = facts, .plan = {}, .offer = {}, .left_out = {}, .openings = blanked_events_.contains(name)});
    }
}

/// What several captures hold is played once, from the one that tells most.
void Reading::each_once() {
    const auto worth = [](const CapturedSession& session) {
        return std::tuple(session.left_out.empty(), !session.openings, session.plan.cut.empty(),
                          session.plan.units.size());
    };
    std::map<std::string, std::size_t> best;
    std::set<std::string> several;
    for (std::size_t i = 0; i < capture_.sessions.size(); ++i) {
        const std::string& name = capture_.sessions[i].facts.session;
        if (name.empty()) continue;
        const auto [at, is_new] = best.try_emplace(name, i);
        if (is_new) continue;
        several.insert(name);
        if (worth(capture_.sessions[i]) > worth(capture_.sessions[at->second])) at->second = i;
    }
    if (several.empty()) return;
    std::vector<CapturedSession> kept;
    for (std::size_t i = 0; i < capture_.sessions.size(); ++i) {
        const std::string& name = capture_.sessions[i].facts.session;
        if (name.empty() || best.at(name) == i) kept.push_back(std::move(capture_.sessions[i]));
    }
    capture_.sessions = std::move(kept);
    capture_.repeated = several.size();
}

/// Each CancelRequest to what it was meant to end.
void Reading::place_cancels() {
    for (const CapturedSession& request : capture_.sessions) {
        if (!request.plan.cancels_pid) continue;
        bool placed = false;
        const std::uint64_t at = request.plan.started;
        for (CapturedSession& session : capture_.sessions) {
            SessionPlan& plan = session.plan;
            if (plan.backend_pid != *request.plan.cancels_pid || plan.started > at || plan.ended < at) continue;
            for (std::size_t i = 0; i < plan.units.size() && !placed; ++i) {
                const Unit& unit = plan.units[i];
                const auto since = at - unit.asked;  // wraps where it was asked later
                if (at < unit.asked || since > static_cast<std::uint64_t>(unit.took.count())) continue;
                if (unit.requests.empty()) continue;
                plan.cancels.push_back({.unit = i, .delay = Duration(since)});
                placed = true;
            }
        }
        if (!placed && only_.empty()) ++capture_.cancels_left_out;
    }
    std::erase_if(capture_.sessions,
                  [](const CapturedSession& session) { return session.plan.cancels_pid.has_value(); });
}

Capture Reading::finish() {
    for (auto& [key, conversation] : conversations_) session(*conversation);
    conversations_.clear();
    each_once();
    failures_without_packets();
    place_cancels();
    for (CapturedSession& session : capture_.sessions) session.offer = records_.offer_of(session.facts.session);
    std::stable_sort(capture_.sessions.begin(), capture_.sessions.end(),
                     [](const auto& a, const auto& b) { return a.plan.started < b.plan.started; });
    capture_.lacks = lacks_.texts(only_);
    if (undecoded_ > 0) capture_.lacks.push_back(std::to_string(undecoded_) + " packets are none of TCP");
    return std::move(capture_);
}

}  // namespace

Capture read_capture(const std::vector<std::string>& files, const PlanRules& rules, const std::set<std::string>& only) {
    Reading reading(rules, only);
    std::vector<protocol::DatedFile> dated;
    for (const std::string& given : files) {
        for (const std::string& path : files_of(given)) dated.push_back(dated_file(path));
    }
    const std::vector<std::string> ordered = protocol::in_reading_order(dated);
    for (const std::string& path : ordered) reading.file(path);
    for (const std::string& path : not_given_after(ordered)) reading.ring_goes_on(path);
    return reading.finish();
}

}  // namespace bench::replay
