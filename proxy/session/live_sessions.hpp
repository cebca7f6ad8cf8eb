// The sessions that are logged in, and the last of those that have ended, for whoever asks: entries
// are made at login and moved at the end, and what changes in between is counted where it passes,
// without a lock. Whoever reads takes a part at a time, so that no session waits for all of it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/observation/event.hpp"

namespace proxy {

/// What a relay has moved, and how it stands. Written by its thread alone.
struct RelayFigures {
    std::atomic<std::uint64_t> from_client{0};  ///< bytes
    std::atomic<std::uint64_t> from_server{0};
    std::atomic<char> status{'I'};  ///< as protocol::Boundary::status()
};

enum class SessionText : std::uint8_t {
    session,
    listener,
    upstream,
    client_addr,
    datname,
    usename,
    application_name,
    replication,
    negotiation,
    version,
    cipher,
    client_dn,
    sni,
    ja4,
    sslmode_min,
    sslmode_max,
    verifies,
    evidence,  // comma-separated
    auth_method,
    upstream_addr,
    upstream_version,
    upstream_cipher,
};
inline constexpr std::size_t session_texts = static_cast<std::size_t>(SessionText::upstream_cipher) + 1;

/// How far its client is from what is wanted of all: by this open sessions are counted.
enum class SessionMode : std::uint8_t { plain, tls_not_verifying, verifying, unknown };
inline constexpr std::size_t session_modes = static_cast<std::size_t>(SessionMode::unknown) + 1;

/// What is known of a session once it is logged in: its texts in one, because there are many.
class SessionFacts {
   public:
    using Time = std::chrono::system_clock::time_point;

    SessionFacts(const SessionRecord& record, Time now);

    /// Empty: not known, or none.
    std::string_view text(SessionText which) const noexcept;
    /// In bytes, roughly.
    std::size_t footprint() const noexcept { return sizeof *this + texts_.capacity(); }

    int pid = 0;  ///< a number of ours, unlike those of two servers; 1 to 2^31 - 1
    int client_port = -1;
    std::int64_t client_uid = -1;  ///< -1: not of this host, or not known
    bool ssl = false;
    SessionMode mode = SessionMode::unknown;
    bool weak = false;
    bool upstream_ssl = false;
    int bits = 0;
    std::int64_t backend_pid = 0;
    Time accepted{};
    Time logged_in{};

   private:
    std::string texts_;  // each behind the last one
    std::array<std::uint16_t, session_texts> ends_{};
};

struct LiveSession {
    explicit LiveSession(SessionFacts known) : facts(std::move(known)) {}
    SessionFacts facts;
    RelayFigures figures;
};

struct EndedSession {
    SessionFacts facts;
    SessionFacts::Time ended{};
    Reason reason = Reason::none;
    std::string sqlstate;
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;
};

/// Of all sessions to one upstream since the start, those that are open included.
struct UpstreamTotals {
    std::uint64_t sessions = 0;  ///< that logged in
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;
};

/// Of those that are open.
struct SessionCounts {
    std::array<std::uint64_t, session_modes> by_mode{};
    std::uint64_t changes = 0;  ///< logins and ends so far: as long as it is the same, so are the sessions

    std::uint64_t total() const noexcept { return by_mode[0] + by_mode[1] + by_mode[2] + by_mode[3]; }
};

/// From any thread.
class LiveSessions {
   public:
    static constexpr std::size_t max_ended = 100'000;
    static constexpr std::size_t max_ended_bytes = 64 * 1024 * 1024;

    /// Both may be smaller for tests.
    explicit LiveSessions(std::size_t ended = max_ended, std::size_t ended_bytes = max_ended_bytes)
        : max_ended_(ended), max_ended_bytes_(ended_bytes) {}

    /// One that has logged in; it is here for as long as the entry lives.
    class Entry {
       public:
        Entry() = default;
        Entry(LiveSessions* all, std::uint64_t id, std::shared_ptr<LiveSession> session)
            : all_(all), id_(id), session_(std::move(session)) {}
        Entry(Entry&& other) noexcept
            : all_(std::exchange(other.all_, nullptr)), id_(other.id_), session_(std::move(other.session_)) {}
        Entry& operator=(Entry&& other) noexcept {
            std::swap(all_, other.all_);
            std::swap(id_, other.id_);
            std::swap(session_, other.session_);
            return *this;
        }
        ~Entry() { leave(); }

        /// Where its relay counts; nullptr: it is not here.
        std::shared_ptr<RelayFigures> figures() const;
        /// From now on it is among those that have ended.
        void end(Reason reason, std::string sqlstate) noexcept;

       private:
        void leave() noexcept;

        LiveSessions* all_ = nullptr;
        std::uint64_t id_ = 0;
        std::shared_ptr<LiveSession> session_;
    };

    Entry add(const SessionRecord& record, SessionFacts::Time now = std::chrono::system_clock::now());

    /// In the order of their logins.
    std::vector<std::shared_ptr<const LiveSession>> open() const;
    /// The oldest first.
    std::vector<std::shared_ptr<const EndedSession>> ended() const;
    /// By upstream.
    std::map<std::string, UpstreamTotals, std::less<>> totals() const;
    std::size_t count() const;
    /// Takes as long for many as for few.
    SessionCounts counts() const;

   private:
    void remove(std::uint64_t id, std::shared_ptr<const EndedSession> ended) noexcept;

    const std::size_t max_ended_;
    const std::size_t max_ended_bytes_;
    mutable std::mutex mutex_;
    std::uint64_t next_id_ = 1;
    SessionCounts counts_;
    std::map<std::uint64_t, std::shared_ptr<const LiveSession>> open_;
    std::deque<std::shared_ptr<const EndedSession>> ended_;
    std::uint64_t forgotten_ = 0;  // how many were in front of ended_
    std::size_t ended_bytes_ = 0;
    std::map<std::string, UpstreamTotals, std::less<>> totals_;  // of logins, and of those that have ended
};

}  // namespace proxy
