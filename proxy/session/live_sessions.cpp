#include "proxy/session/live_sessions.hpp"

#include <limits>

namespace proxy {
namespace {

/// How many are taken before the lock is given back.
constexpr std::size_t part = 512;
/// None of the texts is that long; what is, is cut.
constexpr std::size_t max_text = 2048;

std::string joined_labels(const std::vector<protocol::Evidence>& evidence) {
    std::string text;
    for (const protocol::Evidence piece : evidence) {
        if (!text.empty()) text += ',';
        text += protocol::label(piece);
    }
    return text;
}

SessionMode mode_of(const SessionRecord& record) {
    if (!record.ssl) return SessionMode::plain;
    switch (record.sslmode().verifies()) {
        case protocol::Verifies::yes: return SessionMode::verifying;
        case protocol::Verifies::no: return SessionMode::tls_not_verifying;
        case protocol::Verifies::unknown: break;
    }
    return SessionMode::unknown;
}

constexpr std::size_t index(SessionMode mode) noexcept { return static_cast<std::size_t>(mode); }

std::size_t footprint(const EndedSession& ended) noexcept {
    return sizeof ended + ended.facts.footprint() - sizeof ended.facts + ended.sqlstate.capacity();
}

}  // namespace

SessionFacts::SessionFacts(const SessionRecord& record, Time now)
    : client_port(record.client_port),
      client_uid(record.process ? std::int64_t{record.process->get(std::chrono::milliseconds(0)).uid} : -1),
      ssl(record.ssl),
      mode(mode_of(record)),
      weak(record.weak()),
      upstream_ssl(record.upstream_ssl),
      bits(record.client_tls.bits),
      backend_pid(record.backend_pid),
      accepted(now - record.timings.total),
      logged_in(now) {
    const auto interval = record.sslmode();
    const std::string evidence = joined_labels(record.evidence);
    const std::array<std::string_view, session_texts> texts{record.session,
                                                            record.listener,
                                                            record.upstream,
                                                            record.client_addr,
                                                            record.datname,
                                                            record.usename,
                                                            record.application_name,
                                                            record.replication,
                                                            record.negotiation,
                                                            record.client_tls.version,
                                                            record.client_tls.cipher,
                                                            record.client_tls.client_dn,
                                                            record.sni,
                                                            record.ja4,
                                                            protocol::to_string(interval.min),
                                                            protocol::to_string(interval.max),
                                                            protocol::to_string(interval.verifies()),
                                                            evidence,
                                                            record.auth_method,
                                                            record.upstream_addr,
                                                            record.upstream_tls.version,
                                                            record.upstream_tls.cipher};
    std::size_t size = 0;
    for (const std::string_view text : texts) size += std::min(text.size(), max_text);
    texts_.reserve(size);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        texts_ += texts[i].substr(0, max_text);
        ends_[i] = static_cast<std::uint16_t>(texts_.size());
    }
}

std::string_view SessionFacts::text(SessionText which) const noexcept {
    const auto i = static_cast<std::size_t>(which);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(texts_).substr(begin, ends_[i] - begin);
}

std::shared_ptr<RelayFigures> LiveSessions::Entry::figures() const {
    return session_ ? std::shared_ptr<RelayFigures>(session_, &session_->figures) : nullptr;
}

void LiveSessions::Entry::end(Reason reason, std::string sqlstate) noexcept try {
    if (!all_) return;
    const RelayFigures& figures = session_->figures;
    auto ended = std::make_shared<EndedSession>(EndedSession{
        .facts = session_->facts,
        .ended = std::chrono::system_clock::now(),
        .reason = reason,
        .sqlstate = std::move(sqlstate),
        .bytes_from_client = figures.from_client.load(std::memory_order_relaxed),
        .bytes_from_server = figures.from_server.load(std::memory_order_relaxed),
    });
    std::exchange(all_, nullptr)->remove(id_, std::move(ended));
    session_.reset();
} catch (const std::bad_alloc&) {
    leave();  // it is over, and not among those that are remembered
}

void LiveSessions::Entry::leave() noexcept {
    if (all_) std::exchange(all_, nullptr)->remove(id_, nullptr);
}

LiveSessions::Entry LiveSessions::add(const SessionRecord& record, SessionFacts::Time now) {
    auto session = std::make_shared<LiveSession>(SessionFacts(record, now));
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = next_id_++;
    session->facts.pid = static_cast<int>(id % std::numeric_limits<int>::max()) + 1;
    open_.emplace_hint(open_.end(), id, session);
    ++totals_[record.upstream].sessions;
    ++counts_.by_mode[index(session->facts.mode)];
    ++counts_.changes;
    return {this, id, std::move(session)};
}

void LiveSessions::remove(std::uint64_t id, std::shared_ptr<const EndedSession> ended) noexcept {
    std::shared_ptr<const LiveSession> gone;  // freed without the lock
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    gone = std::move(found->second);
    open_.erase(found);
    --counts_.by_mode[index(gone->facts.mode)];
    ++counts_.changes;
    const auto totals = totals_.find(gone->facts.text(SessionText::upstream));
    if (totals != totals_.end()) {
        totals->second.bytes_from_client += gone->figures.from_client.load(std::memory_order_relaxed);
        totals->second.bytes_from_server += gone->figures.from_server.load(std::memory_order_relaxed);
    }
    if (!ended) return;
    try {
        ended_.push_back(ended);
    } catch (const std::bad_alloc&) {
        return;  // not among those that are remembered
    }
    ended_bytes_ += footprint(*ended);
    while (ended_.size() > max_ended_ || ended_bytes_ > max_ended_bytes_) {
        ended_bytes_ -= footprint(*ended_.front());
        ended_.pop_front();
        ++forgotten_;
    }
}

std::vector<std::shared_ptr<const LiveSession>> LiveSessions::open() const {
    std::vector<std::shared_ptr<const LiveSession>> all;
    all.reserve(count() + part);  // not while sessions wait
    for (std::uint64_t after = 0;;) {
        const std::lock_guard lock(mutex_);
        auto next = open_.upper_bound(after);
        for (std::size_t taken = 0; taken < part && next != open_.end(); ++taken, ++next) {
            after = next->first;
            all.push_back(next->second);
        }
        if (next == open_.end()) return all;
    }
}

std::vector<std::shared_ptr<const EndedSession>> LiveSessions::ended() const {
    std::vector<std::shared_ptr<const EndedSession>> all;
    for (std::uint64_t next = 0;;) {
        if (all.capacity() - all.size() < part) all.reserve(all.size() * 2 + part);
        const std::lock_guard lock(mutex_);
        next = std::max(next, forgotten_);
        for (std::size_t taken = 0; taken < part && next - forgotten_ < ended_.size(); ++taken, ++next)
            all.push_back(ended_[next - forgotten_]);
        if (next - forgotten_ >= ended_.size()) return all;
    }
}

std::map<std::string, UpstreamTotals, std::less<>> LiveSessions::totals() const {
    std::map<std::string, UpstreamTotals, std::less<>> all;
    {
        const std::lock_guard lock(mutex_);
        all = totals_;
    }
    // One that ends between the two looks is counted twice or not at all: by the next look, right.
    for (const auto& session : open()) {
        UpstreamTotals& of = all[std::string(session->facts.text(SessionText::upstream))];
        of.bytes_from_client += session->figures.from_client.load(std::memory_order_relaxed);
        of.bytes_from_server += session->figures.from_server.load(std::memory_order_relaxed);
    }
    return all;
}

SessionCounts LiveSessions::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

std::size_t LiveSessions::count() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
}

}  // namespace proxy
