#include "proxy/transcript/lacks.hpp"

#include <algorithm>
#include <iterator>

#include "protocol/capture_comment.hpp"
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

void append(std::vector<std::string>& out, std::vector<std::string> more) {
    std::move(more.begin(), more.end(), std::back_inserter(out));
}

}  // namespace

void Lacks::file(const std::string& path) {
    files_.file(path);
    files_.capture(capture_name(path, {}).identity);
}

void Lacks::section(const protocol::pcapng::SectionBlock& section) {
    constexpr std::size_t most = 10;
    files_.capture(capture_name(files_.path(), section).identity);
    for (const std::string& comment : section.comments) {
        const std::string payload = protocol::payload_of(comment);
        if (!payload.empty() && payloads_.size() < most) payloads_.insert(payload);
        if (comment.find("failures only") != std::string::npos) failures_only_ = true;
        const std::string only = protocol::filter_of(comment);
        if (!only.empty() && filters_.size() < most) filters_.insert(only);
    }
}

void Lacks::capture(const std::string& name) {
    constexpr std::size_t most = 20;
    ++captures_;
    if (capture_names_.size() < most) capture_names_.push_back(name);
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
    append(out, files_.file_texts());
    out.insert(out.end(), stopped_.begin(), stopped_.end());
    append(out, files_.drop_texts());
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
    append(out, files_.block_texts());
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
