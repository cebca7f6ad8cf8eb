#include "proxy/transcript/lacks.hpp"

#include <algorithm>

#include "protocol/capture_comment.hpp"
#include "protocol/capture_ring.hpp"
#include "protocol/utf8.hpp"
#include "proxy/transcript/capture_name.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

using protocol::Absence;

std::string payload_text(const std::string& payload) {
    if (payload == "headers")
        return "payload is headers: SQL, values, rows and texts of errors are blanked (*) in the packets, sizes and "
               "SQLSTATEs are not";
    if (payload == "redacted")
        return "payload is redacted: literals in SQL, values, rows and COPY's data are blanked (*)";
    if (payload == "full") return "payload is full: passwords and keys are blanked (*), nothing else";
    return "payload is " + protocol::printable(payload) +
           ", which this version does not know: what is blanked in the packets, and how, is not known";
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
    capture_ = capture_name(path, {}).identity;
    has_end_ = followed_ = false;
    if (const auto ring = protocol::ring_file(path)) rings_[ring->before].insert(ring->number);
}

void Lacks::cannot_open(const std::string& path, const std::string& why) {
    files_lack_.push_back(protocol::printable(path) + " cannot be read: " + why);
}

void Lacks::end_of_file(std::size_t pending, const std::string& error, std::uint64_t skipped) {
    skipped_ += skipped;
    constexpr std::size_t most = 5;
    if (followed_) {
        if (const auto ring = protocol::ring_file(file_)) {
            ring_followed_[ring->before] = std::max(ring_followed_[ring->before], ring->number);
        } else if (others_followed_.size() < most) {
            others_followed_.insert(file_ == "-" ? "standard input" : protocol::printable(file_));
        }
    }
    if (!has_end_ && ++files_without_end_ <= most)
        without_end_.push_back(file_ == "-" ? "standard input" : protocol::printable(file_));
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
    capture_ = capture_name(file_, section).identity;
    for (const std::string& comment : section.comments) {
        const std::string payload = protocol::payload_of(comment);
        if (!payload.empty() && payloads_.size() < most) payloads_.insert(payload);
        if (comment.find("failures only") != std::string::npos) failures_only_ = true;
        const std::string only = protocol::filter_of(comment);
        if (!only.empty() && filters_.size() < most) filters_.insert(only);
    }
}

void Lacks::dropped(const std::string& interface, std::uint64_t packets) {
    if (packets > 0) drops_[{capture_, interface}].in_packets += packets;
}

void Lacks::capture(const std::string& name) {
    constexpr std::size_t most = 20;
    ++captures_;
    if (capture_names_.size() < most) capture_names_.push_back(name);
}

void Lacks::statistics(const std::string& interface, std::uint64_t dropped) {
    has_end_ = true;
    if (dropped == 0) return;
    std::uint64_t& so_far = drops_[{capture_, interface}].in_statistics;
    so_far = std::max(so_far, dropped);
}

void Lacks::ring_goes_on(const std::string& path) {
    constexpr std::size_t most = 10;
    if (goes_on_.size() < most) goes_on_.push_back(path);
}

void Lacks::capture_stopped(const std::string& what) {
    constexpr std::size_t most = 10;
    if (stopped_.size() < most) stopped_.insert(protocol::printable(what));
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
    for (const Absence absence : session.absences) ++parts_[absence];
}

void Lacks::ring_texts(std::vector<std::string>& out) const {
    for (const auto& [before, given] : rings_) {
        const std::string name = protocol::printable(before) + "*.pcapng";
        const std::uint64_t first = *given.begin();
        if (first > 1) {
            const std::string which = first == 2 ? "file 1" : "files 1 to " + std::to_string(first - 1);
            out.push_back(which + " of " + name + (first == 2 ? " is" : " are") +
                          " not among these: " + std::string(sentence(Absence::ring_file_gone)));
        }
        std::vector<std::uint64_t> gone;
        constexpr std::size_t most = 1000;
        for (auto it = given.begin(); std::next(it) != given.end(); ++it) {
            for (std::uint64_t n = *it + 1; n < *std::next(it) && gone.size() < most; ++n) gone.push_back(n);
        }
        if (!gone.empty())
            out.push_back("between the files that were given, " + ranges(gone) + " of " + name +
                          " are missing: " + std::string(sentence(Absence::ring_file_gone)));
    }
    for (const auto& [before, number] : ring_followed_) {
        const bool is_beside = std::any_of(goes_on_.begin(), goes_on_.end(),
                                           [&](const std::string& path) { return path.starts_with(before); });
        if (number == *rings_.at(before).rbegin() && !is_beside)
            out.push_back("the ring " + protocol::printable(before) + "*.pcapng goes on behind file " +
                          std::to_string(number) + ": " + std::string(sentence(Absence::ring_file_gone)));
    }
    for (const std::string& name : others_followed_)
        out.push_back(name + " was one file of a ring, and others of it came behind: they are not known by its name");
    for (const std::string& path : goes_on_)
        out.push_back("the ring goes on with " + protocol::printable(path) + ", which was not given");
}

void Lacks::filter_texts(std::vector<std::string>& out) const {
    for (const std::string& only : filters_) {
        std::string text = "only sessions of " + protocol::printable(only) + " were captured";
        for (const std::string_view key : {"user=", "database=", "application_name="}) {
            if (only.find(key) == std::string::npos) continue;
            text += ": whoever failed before that was known, as in TLS, is not in the capture";
            break;
        }
        out.push_back(std::move(text));
    }
}

/// What changes how all the rest is to be read.
void Lacks::first_texts(std::vector<std::string>& out) const {
    filter_texts(out);
    if (has_secrets_)
        out.push_back(
            "keys are in here (keylog): they decrypt the raw TLS records, passwords as well, which undoes "
            "all blanking; keep the files as secret as these");
    if (captures_ > 1) {
        std::string text = "these are files of " + counted(captures_, "capture") + " (";
        for (std::size_t i = 0; i < capture_names_.size(); ++i) text += (i == 0 ? "" : "; ") + capture_names_[i];
        if (captures_ > capture_names_.size()) text += "; and " + counted(captures_ - capture_names_.size(), "other");
        text += "): each session is counted once, from the one that tells most";
        if (repeated_ > 0) text += "; " + std::to_string(repeated_) + " stood in another one as well";
        if (repeats_unknown_) text += "; there are too many for this command, and some may be counted twice";
        out.push_back(std::move(text));
    }
    if (captures_unknown_)
        out.push_back(
            "there are too many captures for this command: the last ones are taken for one, and what is "
            "absent from them is not counted in full; read fewer at a time");
    if (nameless_failures_ > 0)
        out.push_back(counted(nameless_failures_, "connection") + " failed before user and database were known, and " +
                      was(nameless_failures_) + " left out by this filter: read without it");
}

/// How the files ended.
void Lacks::end_texts(std::vector<std::string>& out) const {
    if (files_without_end_ > 0) {
        std::string which;
        for (const std::string& name : without_end_) which += (which.empty() ? "" : ", ") + name;
        if (files_without_end_ > without_end_.size())
            which += " and " + counted(files_without_end_ - without_end_.size(), "other");
        out.push_back(which + (files_without_end_ == 1 ? " has" : " have") + " " +
                      std::string(sentence(Absence::file_not_closed)));
    }
    for (const std::string& what : stopped_) out.push_back(what);
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
        out.push_back(counted(in_the_middle_, "session") + " " + std::string(sentence(Absence::joined)));
    if (open_ > 0)
        out.push_back(counted(open_, "session") + " had not ended: what they said later is not in the capture");
    for (const auto& [absence, sessions] : parts_) {
        // Of a handshake that went well, other captures have nothing anyway.
        const bool matters = absence != Absence::prewarmed || has_secrets_ || failures_only_;
        const bool is_said = protocol::kind(absence) != protocol::AbsenceKind::part || absence == Absence::joined;
        if (matters && !is_said)
            out.push_back("of " + counted(sessions, "session") + ": " + std::string(sentence(absence)));
    }
}

std::vector<std::string> Lacks::texts() const {
    std::vector<std::string> out = absent_.texts();
    first_texts(out);
    out.insert(out.end(), files_lack_.begin(), files_lack_.end());
    ring_texts(out);
    end_texts(out);
    std::map<std::string, std::uint64_t> dropped;
    for (const auto& [place, drops] : drops_) dropped[place.second] += std::max(drops.in_packets, drops.in_statistics);
    for (const auto& [interface, packets] : dropped) {
        out.push_back(counted(packets, "packet") + " " + std::string(sentence(Absence::dropped)) + " and " +
                      was(packets) + " dropped (" + protocol::printable(interface) + ")");
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
        std::string text = payload_text(payload);
        if (payload == "headers" && events_have_text_)
            text += "; audit events in the file hold the messages of errors as they were";
        out.push_back(std::move(text));
    }
    return out;
}

}  // namespace proxy::transcript
