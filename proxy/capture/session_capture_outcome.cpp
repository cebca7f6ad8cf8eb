// SessionCapture: what becomes known of its session, and what that makes of what was held back.
#include <algorithm>
#include <utility>

#include "proxy/capture/capture_comment.hpp"
#include "proxy/capture/capture_entry.hpp"
#include "proxy/capture/session_capture.hpp"

namespace proxy {
namespace {

using protocol::Absence;
using tls::Leg;

bool among(const std::vector<std::string>& list, const std::string& name) {
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

/// A login that came to nothing, whoever wanted it so; a client that only asked how to log in has
/// what it came for.
bool has_failed(const Event& event) {
    switch (event.kind) {
        case EventKind::tls_failed:
        case EventKind::auth_failed:
        case EventKind::rejected:
        case EventKind::upstream_failed: return true;
        case EventKind::cancel: return !event.message.empty();
        default: return false;
    }
}

/// No relay will follow.
bool is_end_of_login(const Event& event) {
    return has_failed(event) || event.kind == EventKind::cancel || event.kind == EventKind::oauth_discovery;
}

}  // namespace

bool SessionCapture::matches_names() const {
    const CaptureFilter& filter = capture_->order().filter;
    const SessionRecord& record = session_.record;
    return among(filter.users, record.usename) && among(filter.databases, record.datname) &&
           among(filter.application_names, record.application_name);
}

/// Whether the capture is about the session: what follows from it comes behind this. False: the
/// capture ended first, and counts the session for that.
bool SessionCapture::decided() noexcept {
    if (!std::exchange(undecided_, false) || capture_->login_ended(session_.number)) return true;
    state_ = State::out;
    forget_held();
    return false;
}

void SessionCapture::named() {
    if (!takes() && state_ != State::lost && state_ != State::waiting) return;
    named_ = true;
    if (!matches_names()) {
        decided();
        state_ = State::out;
        return forget_held();
    }
    if (undecided_) capture_->login_begins(session_.number, session_.record);
    if (!takes()) return;
    LegState& leg = this->leg(Leg::client);
    if (!leg.tls && leg.maybe_tls) end_clear(Leg::client);
}

void SessionCapture::settled(const Event& event) {
    const bool failed = has_failed(event);
    // It joins with its last event.
    const bool began_before = state_ == State::waiting && !wait_told_ && is_end_of_login(event);
    if (state_ == State::lost || began_before) {
        if (!decided()) return;
        if (!is_wanted(failed)) {
            state_ = State::out;
        } else {
            be_absent(began_before ? Absence::login_begun_before : why_lost_);
        }
        return;
    }
    if (!takes() || !decided()) return;
    if (!is_wanted(failed)) {
        state_ = State::out;
        return forget_held();
    }
    for (const Leg which : {Leg::client, Leg::server}) {
        if (legs_[at(which)] && legs_[at(which)]->maybe_tls && !legs_[at(which)]->tls) end_clear(which);
    }
    if (state_ == State::lost) return be_absent(why_lost_);
    if (failed && state_ == State::held && !held_.empty()) {
        // On the last record of the leg that it is about, where there is one.
        const Leg about = event.kind == EventKind::upstream_failed ? Leg::server : Leg::client;
        const auto last = std::find_if(held_.rbegin(), held_.rend(), [&](const Packet& packet) {
            return packet.side == about && (packet.content == Content::records || event.kind != EventKind::tls_failed);
        });
        (last == held_.rend() ? held_.back() : *last).failure =
            failure_comment(as_captured(event, capture_->order().payload));
    }
    if (state_ == State::held) release();
}

/// The capture is about this session: what was held back is written.
void SessionCapture::release() {
    if (!decided()) return;
    if (!matches_names()) {
        state_ = State::out;
        return forget_held();
    }
    state_ = State::in;
    capture_->count_session();
    if (!keys_.empty()) write_keys(std::exchange(keys_, {}));
    for (Packet& packet : held_) write(packet);
    forget_held();
}

/// Without room for them the session counts as left out: once.
void SessionCapture::write_keys(std::string_view lines) noexcept {
    if (!capture_->write_secrets(session_.number, lines) && !std::exchange(keys_missing_, true))
        capture_->count_left_out();
}

void SessionCapture::journal(protocol::Bytes entry) {
    const bool is_told = state_ == State::in || state_ == State::absent || (state_ == State::waiting && wait_told_);
    if (!is_told) return;
    capture_->write_journal(protocol::Buffer(entry.begin(), entry.end()));
}

// --- What is not in the capture

void SessionCapture::enter(const std::array<LegEnds, 2>& ends, Time now) {
    if (!decided()) return;
    if (!is_wanted(false)) {
        state_ = State::out;
        return;
    }
    if (std::exchange(wait_told_, false)) --capture_->sessions_not_entered;
    state_ = State::in;
    capture_->count_session();
    for (const Leg which : {Leg::client, Leg::server}) {
        opened(which, ends[at(which)], true);
        emit(which, Content::plain, peer(which), {}, now);
    }
    relay_redactor().begin_established();
}

void SessionCapture::wait() {
    if (state_ != State::waiting || wait_told_ || !decided()) return;
    if (!is_wanted(false)) {
        state_ = State::out;
        return;
    }
    wait_told_ = true;
    ++capture_->sessions_not_entered;
    capture_->write_journal(absence_entry(session_.record, Absence::not_entered, capture_->id()));
}

void SessionCapture::leave(Absence why) noexcept {
    forget_held();
    keys_.clear();
    why_lost_ = why;
    if (state_ == State::in) return be_absent(why);
    if (state_ == State::held) state_ = State::lost;
}

void SessionCapture::be_absent(Absence why) noexcept {
    state_ = State::absent;
    if (protocol::kind(why) != protocol::AbsenceKind::left_out) {
        ++capture_->sessions_not_entered;
    } else if (!keys_missing_) {
        ++capture_->sessions_left_out;
    }
    try {
        capture_->write_journal(absence_entry(session_.record, why, capture_->id()));
    } catch (const std::exception&) {
        // The end of the file says how many there are.
    }
}

void SessionCapture::forget_held() noexcept {
    session_.memory.give_back(std::exchange(held_bytes_, 0));
    std::vector<Packet>().swap(held_);
}

}  // namespace proxy
