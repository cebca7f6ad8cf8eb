#include "proxy/transcript/lacks.hpp"

#include <algorithm>

#include "protocol/capture_comment.hpp"
#include "protocol/capture_ring.hpp"
#include "protocol/utf8.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

constexpr std::string_view lost_framing = "framing lost";

std::string payload_text(const std::string& payload) {
    if (payload == "headers")
        return "payload is headers: SQL, values, rows and texts of errors are blanked (*), sizes and SQLSTATEs are not";
    if (payload == "redacted")
        return "payload is redacted: literals in SQL, values, rows and COPY's data are blanked (*)";
    if (payload == "full") return {};  // nothing but secrets
    return "payload is " + protocol::printable(payload);
}

std::string was(std::uint64_t count) { return count == 1 ? "was" : "were"; }

/// "3, 5 to 8"
std::string ranges(const std::vector<std::uint64_t>& numbers) {
    std::string out;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        out += (out.empty() ? "" : ", ") + std::to_string(numbers[i]);
        if (last > i) out += " to " + std::to_string(numbers[last]);
        i = last + 1;
    }
    return out;
}

}  // namespace

void Lacks::file(const std::string& path) {
    file_ = path;
    if (const auto ring = protocol::ring_file(path)) rings_[ring->before].insert(ring->number);
}

void Lacks::end_of_file(std::size_t pending, const std::string& error, std::uint64_t skipped) {
    skipped_ += skipped;
    if (!error.empty()) {
        file_lacks("cannot be read beyond this: " + error);
    } else if (pending > 0) {
        file_lacks("is cut off at its end: " + counted(pending, "byte") + " of a block that has no end");
    }
}

void Lacks::file_lacks(const std::string& why) {
    const std::string name = file_ == "-" ? "standard input" : protocol::printable(file_);
    files_lack_.push_back(name + " " + protocol::printable(why));
}

void Lacks::section(const protocol::pcapng::SectionBlock& section) {
    constexpr std::size_t most = 10;
    for (const std::string& comment : section.comments) {
        const std::string payload = protocol::payload_of(comment);
        if (!payload.empty() && payloads_.size() < most) payloads_.insert(payload);
        if (comment.find("failures only") != std::string::npos) failures_only_ = true;
    }
}

void Lacks::dropped(const std::string& interface, std::uint64_t packets) {
    if (packets > 0) drops_[interface].in_packets += packets;
}

void Lacks::statistics(const std::string& interface, std::uint64_t dropped) {
    if (dropped == 0) return;
    std::uint64_t& so_far = drops_[interface].in_statistics;
    so_far = std::max(so_far, dropped);
}

void Lacks::session(const ReadSession& session) {
    const std::uint64_t missing = session.missing_client + session.missing_server;
    if (session.in_the_middle) ++in_the_middle_;
    if (!session.over) ++open_;
    if (missing > 0) ++with_gaps_;
    missing_bytes_ += missing;
    if (session.unreadable > 0) ++unreadable_sessions_;
    unreadable_bytes_ += session.unreadable;
    statements_left_out_ += session.entries_left_out;
    const auto says_lost = [](const std::string& note) { return note.find(lost_framing) != std::string::npos; };
    if (std::any_of(session.notes.begin(), session.notes.end(), says_lost)) ++blanked_;
}

void Lacks::ring_texts(std::vector<std::string>& out) const {
    for (const auto& [before, given] : rings_) {
        const std::string name = protocol::printable(before) + "*.pcapng";
        const std::uint64_t first = *given.begin();
        if (first > 1) {
            const std::string which = first == 2 ? "file 1" : "files 1 to " + std::to_string(first - 1);
            out.push_back(which + " of " + name +
                          " are not among these: the ring has removed them, or they were not given");
        }
        std::vector<std::uint64_t> gone;
        constexpr std::size_t most = 1000;
        for (auto it = given.begin(); std::next(it) != given.end(); ++it) {
            for (std::uint64_t n = *it + 1; n < *std::next(it) && gone.size() < most; ++n) gone.push_back(n);
        }
        if (!gone.empty())
            out.push_back("between the files that were given, " + ranges(gone) + " of " + name + " are missing");
    }
}

void Lacks::session_texts(std::vector<std::string>& out) const {
    if (with_gaps_ > 0)
        out.push_back(counted(missing_bytes_, "byte") + " of " + counted(with_gaps_, "session") +
                      " are not in the capture");
    if (unreadable_sessions_ > 0) {
        out.push_back(counted(unreadable_bytes_, "byte") + " of " + counted(unreadable_sessions_, "session") +
                      " cannot be read: where the next message begins is not known");
    }
    if (in_the_middle_ > 0)
        out.push_back(counted(in_the_middle_, "session") +
                      " began before: how they opened and logged in is not in the capture");
    if (open_ > 0)
        out.push_back(counted(open_, "session") + " had not ended: what they said later is not in the capture");
    if (blanked_ > 0)
        out.push_back("of " + counted(blanked_, "session") + " the capture lost the framing, and blanked the rest");
}

std::vector<std::string> Lacks::texts() const {
    std::vector<std::string> out = files_lack_;
    ring_texts(out);
    for (const auto& [interface, drops] : drops_) {
        out.push_back(counted(std::max(drops.in_packets, drops.in_statistics), "packet") + " found no room and " +
                      was(std::max(drops.in_packets, drops.in_statistics)) + " dropped (" +
                      protocol::printable(interface) + ")");
    }
    session_texts(out);
    if (sessions_left_out_ > 0)
        out.push_back(counted(sessions_left_out_, "session") + " " + was(sessions_left_out_) +
                      " left out: too many at the same time for this command");
    if (statements_left_out_ > 0) {
        out.push_back(counted(statements_left_out_, "statement") + " " + was(statements_left_out_) +
                      " counted but not listed, for lack of memory: ask for one session (--session)");
    }
    if (undecoded_ > 0)
        out.push_back(counted(undecoded_, "packet") + " " + was(undecoded_) + " passed over: no TCP that can be read");
    if (skipped_ > 0)
        out.push_back(counted(skipped_, "block") + " of a kind that pgairlock does not write " + was(skipped_) +
                      " passed over");
    if (failures_only_) out.push_back("only connections that failed were captured (trigger failures)");
    for (const std::string& payload : payloads_) {
        if (std::string text = payload_text(payload); !text.empty()) out.push_back(std::move(text));
    }
    return out;
}

}  // namespace proxy::transcript
