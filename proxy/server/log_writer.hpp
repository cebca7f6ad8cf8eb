// Writes the log, on a thread of its own: whoever reads it, and whatever the disk does, nobody who
// has something to say waits. Bounded in bytes; what has no room is counted, and the count said
// once there is room again.
#pragma once

#include <spdlog/common.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/server/log_repeats.hpp"

namespace proxy {

struct LogLine {
    /// `standard_output`, `standard_error`: the text alone, for whoever started us; where nobody
    /// reads it, it is dropped and not waited for.
    enum class To { log, standard_output, standard_error };

    To to = To::log;
    spdlog::level::level_enum level = spdlog::level::info;
    spdlog::log_clock::time_point time = spdlog::log_clock::now();
    std::string text;
    /// The session that it is about, for lines in JSON.
    struct Subject {
        std::string session;
        std::string client;        ///< its address; empty: of a UNIX-domain socket
        std::string proxy_addr{};  ///< of the load balancer that brought it; empty: none did
        std::string listener;
    };
    std::optional<Subject> subject{};
};
inline std::size_t footprint(const LogLine& line) noexcept {
    const auto& subject = line.subject;
    return sizeof line + line.text.size() +
           (subject ? subject->session.size() + subject->client.size() + subject->proxy_addr.size() +
                          subject->listener.size()
                    : 0);
}

class LogWriter {
   public:
    /// Some 5,000 lines.
    static constexpr std::size_t max_queued_bytes = 1024 * 1024;

    /// Throws CannotOpen.
    explicit LogWriter(const config::Log& settings, std::size_t queue_bytes = max_queued_bytes);
    /// Waits hardly.
    ~LogWriter() { end_within(std::chrono::milliseconds(100)); }

    // From any thread; none of these waits for I/O.

    void write(LogLine&& line) noexcept;
    /// One of those of which a second may have too many.
    void write(LogLine&& line, LogRepeats::Kind kind);
    /// A line that could not even be made.
    void lost_one() noexcept;
    /// Opens the file anew, once what came before is written.
    void reopen();

    /// No more lines are taken, and those that wait are written. False: not within `patience`; the
    /// process has to end by std::_Exit (OwnThread).
    bool end_within(std::chrono::milliseconds patience);

   private:
    class Writing;

    const std::shared_ptr<Writing> writing_;  // the thread's as well, which may outlive us
    OwnThread thread_;
};

}  // namespace proxy
