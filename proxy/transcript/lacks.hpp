// What captures do not hold, so that nobody takes their silence for an answer.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/absent_sessions.hpp"
#include "protocol/captured_files.hpp"
#include "protocol/pcapng_reader.hpp"
#include "proxy/transcript/read_session.hpp"
#include "proxy/transcript/session_facts.hpp"

namespace proxy::transcript {

class Lacks {
   public:
    /// One that was given cannot be opened: why.
    void cannot_open(const std::string& path, const std::string& why) { files_.cannot_open(path, why); }
    /// In the order of time.
    void file(const std::string& path);
    /// Of the last one: bytes of a block that has not ended, why it cannot be read on, blocks that
    /// were not understood.
    void end_of_file(std::size_t pending, const std::string& error, std::uint64_t skipped) {
        files_.end_of_file(pending, error, skipped);
    }
    /// The last one; `why` it is not all there, as of a whole sentence's end.
    void file_lacks(const std::string& why) { files_.file_lacks(why); }
    void section(const protocol::pcapng::SectionBlock& section);
    void dropped(const std::string& interface, std::uint64_t packets) { files_.dropped(interface, packets); }
    void statistics(const std::string& interface, std::uint64_t dropped) { files_.statistics(interface, dropped); }
    /// The last file goes on with a packet or an entry, so that its statistics were not its end.
    void goes_on() { files_.goes_on(); }
    /// The last file holds keys.
    void secrets() { has_secrets_ = true; }
    /// An audit event has the words of an error.
    void event_has_text() { events_have_text_ = true; }
    /// As an audit event says it: number and reason of a capture.
    void capture_stopped(const std::string& what);
    /// `capture`: a number for each that is read. False: that was known.
    bool absent(std::size_t capture, const SessionFacts& who, protocol::Absence why) {
        return absent_.add(capture, who.session, why);
    }
    /// `word`: a reason that only a later version knows.
    bool absent(std::size_t capture, const SessionFacts& who, const std::string& word) {
        return absent_.add(capture, who.session, word);
    }
    /// It is in the capture after all, from here on; or in another one.
    void entered(std::size_t capture, const SessionFacts& who) { absent_.entered(capture, who.session); }
    void told_elsewhere(std::size_t capture, const SessionFacts& who) { absent_.told_elsewhere(capture, who.session); }
    /// As the end of the last file says.
    void absent_so_far(std::size_t capture, const AbsentCount& count) {
        absent_.so_far(capture, count);
        files_.followed(count.goes_on);
    }
    /// In all captures, and of no filter.
    AbsentCount absent_sessions() const { return absent_.count(); }
    /// A ring goes on with this file.
    void ring_goes_on(const std::string& path) { files_.ring_goes_on(path); }
    /// One more is read: how it is called.
    void capture(const std::string& name);
    /// From here on captures count as one.
    void too_many_captures() { captures_unknown_ = true; }
    /// What another capture holds as well, and was told from there.
    void session_repeated() { ++repeated_; }
    /// From here on what another capture told is not remembered.
    void too_many_to_repeat() { repeats_unknown_ = true; }
    /// A failure that no filter by name can match, for it had no name yet.
    void nameless_failure() { ++nameless_failures_; }
    void undecoded_packet() { ++undecoded_; }
    void session_left_out() { ++sessions_left_out_; }
    void session(const ReadSession& session);

    /// Sentences; empty: nothing is known to be missing.
    std::vector<std::string> texts() const;

   private:
    void filter_texts(std::vector<std::string>& out) const;
    void first_texts(std::vector<std::string>& out) const;
    void session_texts(std::vector<std::string>& out) const;

    protocol::CapturedFiles files_;
    std::set<std::string> payloads_;
    bool failures_only_ = false;
    std::set<std::string> filters_;
    std::uint64_t undecoded_ = 0;
    std::uint64_t sessions_left_out_ = 0;
    std::uint64_t in_the_middle_ = 0;
    std::uint64_t open_ = 0;
    std::uint64_t with_gaps_ = 0;
    std::uint64_t missing_bytes_ = 0;
    std::uint64_t unreadable_sessions_ = 0;
    std::uint64_t unreadable_bytes_ = 0;
    std::uint64_t statements_left_out_ = 0;
    std::map<protocol::Absence, std::uint64_t> parts_;  // of sessions, as the capture itself says
    protocol::AbsentSessions absent_;
    std::set<std::string> stopped_;
    std::uint64_t captures_ = 0;
    std::vector<std::string> capture_names_;  // some of them
    bool captures_unknown_ = false;
    std::uint64_t repeated_ = 0;
    bool repeats_unknown_ = false;
    std::uint64_t nameless_failures_ = 0;
    bool has_secrets_ = false;
    bool events_have_text_ = false;
};

}  // namespace proxy::transcript
