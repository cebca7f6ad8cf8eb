#include "proxy/server/log_writer.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/pattern_formatter.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cstring>
#include <thread>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/record/bounded_queue.hpp"
#include "proxy/record/line_file.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// Errors of a whole configuration are long, but no line may fill the queue.
constexpr std::size_t max_text = 16 * 1024;
constexpr std::size_t max_at_once = 64 * 1024;
/// Without memory, others may give some back meanwhile.
constexpr auto pause_without_memory = 100ms;

/// spdlog's own %v escapes nothing, but messages hold what peers say: names, errors, certificates.
/// Done here, once, so that no line can be written that does it not.
class Message : public spdlog::custom_flag_formatter {
   public:
    explicit Message(config::LogFormat as) : as_(as) {}
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
        std::string text = protocol::printable({message.payload.data(), message.payload.size()});
        if (as_ == config::LogFormat::json) text = boost::json::serialize(boost::json::string(text));  // with quotes
        out.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Message>(as_); }

   private:
    config::LogFormat as_;
};

/// The session that a line is about, as fields of its own.
class About : public spdlog::custom_flag_formatter {
   public:
    /// `line`: where the one that is written just now can be seen.
    explicit About(const LogLine* const& line) : line_(line) {}
    void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
        if (!line_ || !line_->subject) return;
        const auto& [session, client, proxy_addr, listener] = *line_->subject;
        add(R"(,"session":)", session, out);
        add(R"(,"client":)", client, out);
        if (!proxy_addr.empty()) add(R"(,"proxy_addr":)", proxy_addr, out);
        add(R"(,"listener":)", listener, out);
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<About>(line_); }

   private:
    static void add(std::string_view name, const std::string& value, spdlog::memory_buf_t& out) {
        const std::string text =
            value.empty() ? "null" : boost::json::serialize(boost::json::string(protocol::printable(value)));
        out.append(name.data(), name.data() + name.size());
        out.append(text.data(), text.data() + text.size());
    }

    const LogLine* const& line_;
};

const char* pattern_of(config::LogFormat format) {
    return format == config::LogFormat::json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l"%~,"message":%*})"
                                             : "%Y-%m-%dT%H:%M:%S.%eZ %l %*";
}

/// Alone, so that a line that is not read does not keep others back.
void write_unless_held_up(int fd, const std::string& text) {
    const std::string line = protocol::printable(text) + "\n";
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) != 1) return;
    LineFile file;
    file.use(fd);
    file.append(line);
}

}  // namespace

/// What the thread works with.
class LogWriter::Writing {
   public:
    Writing(const config::Log& settings, std::size_t queue_bytes);

    /// The thread: until the queue is closed and empty.
    void write_down();

    BoundedQueue<LogLine> queue;
    LogRepeats repeats;
    std::atomic<std::uint64_t> unmade{0};  // lines that never got as far as the queue

   private:
    bool write_batch();
    void add(const LogLine& line);
    void say(spdlog::level::level_enum level, std::string text) { add({.level = level, .text = std::move(text)}); }
    void flush();
    void tell_lost();
    void tell_repeats(LogRepeats::Clock::time_point until);
    void replace_removed();
    void reopen();

    const std::string path_;  // empty: standard error
    LineFile file_;
    const LogLine* line_ = nullptr;  // that is being formatted
    spdlog::pattern_formatter formatter_{spdlog::pattern_time_type::utc};
    std::string buffer_;                         // whole lines
    std::uint64_t lost_ = 0;                     // not yet told
    std::uint64_t lost_in_writing_ = 0;          // those among them, which the file did not take
    bool told_elsewhere_ = false;                // that lines are lost
    LogRepeats::Clock::time_point next_open_{};  // of a file that was removed
};

LogWriter::Writing::Writing(const config::Log& settings, std::size_t queue_bytes)
    : queue(queue_bytes), path_(settings.file) {
    formatter_.add_flag<Message>('*', settings.format)
        .add_flag<About>('~', line_)
        .set_pattern(pattern_of(settings.format));
    if (path_.empty()) {
        file_.use(STDERR_FILENO);
    } else if (const std::string error = file_.open(path_); !error.empty()) {
        throw CannotOpen("cannot open log file " + path_ + ": " + error, file_.error());
    }
}

void LogWriter::Writing::write_down() {
    for (bool closed = false; !closed;) {
        try {
            closed = write_batch();
        } catch (const std::exception&) {
            ++lost_;
            std::this_thread::sleep_for(pause_without_memory);
        }
    }
}

/// False: others follow.
bool LogWriter::Writing::write_batch() {
    const auto batch = queue.take(repeats.due());
    replace_removed();
    // Before the last line, which is the last that anybody looks for.
    if (batch.closed) tell_repeats(LogRepeats::Clock::time_point::max());
    for (const LogLine& line : batch.items) add(line);
    flush();
    lost_ += batch.dropped + unmade.exchange(0);
    tell_lost();
    tell_repeats(LogRepeats::Clock::now());
    flush();
    if (batch.reopen) reopen();
    return batch.closed;
}

/// Nobody would read what is written to it. Not at every batch where it cannot be opened.
void LogWriter::Writing::replace_removed() {
    if (!file_.is_removed()) return;
    const auto now = LogRepeats::Clock::now();
    if (now < next_open_) return;
    next_open_ = now + 1s;
    const std::string error = file_.open(path_);
    if (error.empty() || std::exchange(told_elsewhere_, true)) return;
    write_unless_held_up(STDERR_FILENO,
                         "error: the log file " + path_ + " was removed, and cannot be opened: " + error);
}

void LogWriter::Writing::tell_repeats(LogRepeats::Clock::time_point until) {
    for (const auto& [kind, level, lines] : repeats.over(until)) {
        say(level, spdlog::fmt_lib::format("listener \"{}\": {} more lines of this kind within a second: {}",
                                           kind.listener, lines, kind.name));
    }
}

void LogWriter::Writing::add(const LogLine& line) {
    switch (line.to) {
        case LogLine::To::standard_output: return write_unless_held_up(STDOUT_FILENO, line.text);
        case LogLine::To::standard_error: return write_unless_held_up(STDERR_FILENO, line.text);
        case LogLine::To::log: break;
    }
    spdlog::memory_buf_t text;
    line_ = &line;
    formatter_.format(spdlog::details::log_msg(line.time, spdlog::source_loc{}, "", line.level, line.text), text);
    buffer_.append(text.data(), text.size());
    if (buffer_.size() >= max_at_once) flush();
}

void LogWriter::Writing::flush() {
    const std::size_t left = file_.append(buffer_);
    buffer_.clear();
    lost_ += left;
    lost_in_writing_ += left;
}

/// Not before lines are written again: this one would be lost as well.
void LogWriter::Writing::tell_lost() {
    if (lost_ == 0) return;
    const std::uint64_t lost = lost_, in_writing = lost_in_writing_;
    const std::string why =
        in_writing == 0 ? "there was no room for them: the log is not read, or its disk is slow"
                        : spdlog::fmt_lib::format("{} could not be written: {}", path_, std::strerror(file_.error()));
    const std::string what = spdlog::fmt_lib::format("log: {} lines lost: {}", lost, why);
    say(spdlog::level::err, what);
    flush();
    const bool told = lost_in_writing_ == in_writing;
    // Where else somebody may look, once.
    if (!told && !path_.empty() && !std::exchange(told_elsewhere_, true))
        write_unless_held_up(STDERR_FILENO, "error: " + what);
    if (told) told_elsewhere_ = false;
    lost_ = told ? 0 : lost;
    lost_in_writing_ = told ? 0 : in_writing;
}

void LogWriter::Writing::reopen() {
    if (path_.empty()) return;
    const std::string error = file_.open(path_);
    if (error.empty()) return;
    say(spdlog::level::err, spdlog::fmt_lib::format("cannot reopen log file {}: {}", path_, error));
    flush();
}

LogWriter::LogWriter(const config::Log& settings, std::size_t queue_bytes)
    : writing_(std::make_shared<Writing>(settings, queue_bytes)),
      thread_([writing = writing_] { writing->write_down(); }) {}

void LogWriter::write(LogLine&& line) noexcept {
    if (line.text.size() > max_text) line.text.resize(max_text);
    writing_->queue.push(std::move(line));
}

void LogWriter::write(LogLine&& line, LogRepeats::Kind kind) {
    if (writing_->repeats.admit(std::move(kind), line.level, LogRepeats::Clock::now())) write(std::move(line));
}

void LogWriter::lost_one() noexcept { ++writing_->unmade; }

void LogWriter::reopen() { writing_->queue.ask_reopen(); }

bool LogWriter::end_within(std::chrono::milliseconds patience) {
    writing_->queue.close();
    return thread_.end_within(patience);
}

}  // namespace proxy
