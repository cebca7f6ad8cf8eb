// Log lines about a session. In text they begin with its name and the client's address; in JSON
// they have session, client and listener as fields too, and the load balancer that brought it.
//
//     log_about(record_, often(reason, record_.listener), spdlog::level::warn, "refused: {}", why);
#pragma once

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/observation/event.hpp"

namespace proxy {

/// Whom the line is about that this thread writes just now: the log's sink asks, in the same call.
class LogSubject {
   public:
    explicit LogSubject(const SessionRecord& record) noexcept { current_ = &record; }
    ~LogSubject() { current_ = nullptr; }
    LogSubject(const LogSubject&) = delete;
    LogSubject& operator=(const LogSubject&) = delete;

    /// nullptr: about no session.
    static const SessionRecord* current() noexcept { return current_; }

   private:
    static inline thread_local const SessionRecord* current_ = nullptr;
};

/// `kind`: often(...), or {} for what nobody can cause at will.
template <class... Args>
void log_about(const SessionRecord& record, spdlog::source_loc kind, spdlog::level::level_enum level,
               spdlog::format_string_t<Args...> format, Args&&... args) {
    if (!spdlog::should_log(level)) return;
    const LogSubject subject(record);
    const auto write = [&](const std::string& text) {
        // Neither of them throws.
        if (!record.front) return spdlog::log(kind, level, "{} {}: {}", record.session, record.client_addr, text);
        spdlog::log(kind, level, "{} {} through {}: {}", record.session, record.client_addr, record.front->addr, text);
    };
    try {
        write(spdlog::fmt_lib::format(format, std::forward<Args>(args)...));
    } catch (const std::exception&) {
        write({});  // without memory for its words
    }
}

}  // namespace proxy
