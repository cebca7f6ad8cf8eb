#include "proxy/server/log.hpp"

#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <utility>

#include "proxy/observation/session_log.hpp"

namespace proxy {
namespace {

constexpr std::chrono::seconds last_lines{2};

/// Hands lines to a writer, which can be exchanged while threads log.
class Outlet final : public spdlog::sinks::sink {
   public:
    explicit Outlet(std::unique_ptr<LogWriter> writer) : writer_(std::move(writer)) {}

    void log(const spdlog::details::log_msg& message) override {
        LogLine line{.level = message.level, .time = message.time, .text = {}};
        line.text.assign(message.payload.data(), message.payload.size());
        if (const SessionRecord* const about = LogSubject::current())
            line.subject = {.session = about->session,
                            .client = about->client_addr,
                            .proxy_addr = about->front ? about->front->addr : "",
                            .listener = about->listener};
        const std::shared_ptr<LogWriter> to = writer();
        if (message.source.empty()) return to->write(std::move(line));
        to->write(std::move(line), {.name = message.source.filename, .listener = message.source.funcname});
    }
    void flush() override {}  // never waited for
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}  // the writer has its own

    std::shared_ptr<LogWriter> writer() {
        const std::lock_guard lock(mutex_);
        return writer_;
    }
    /// Returns the one before.
    std::shared_ptr<LogWriter> use(std::shared_ptr<LogWriter> writer) {
        const std::lock_guard lock(mutex_);
        writer_.swap(writer);
        return writer;
    }

   private:
    std::mutex mutex_;
    std::shared_ptr<LogWriter> writer_;
};

std::shared_ptr<Outlet> outlet;

spdlog::level::level_enum level_of(config::LogLevel level) {
    switch (level) {
        case config::LogLevel::trace: return spdlog::level::trace;
        case config::LogLevel::debug: return spdlog::level::debug;
        case config::LogLevel::info: return spdlog::level::info;
        case config::LogLevel::warn: return spdlog::level::warn;
        case config::LogLevel::error: break;
    }
    return spdlog::level::err;
}

}  // namespace

void set_up_log(const config::Log& settings) {
    outlet = std::make_shared<Outlet>(std::make_unique<LogWriter>(settings));
    const auto logger = std::make_shared<spdlog::logger>("pgairlock", outlet);
    // spdlog's own writes to stderr, and waits for it.
    logger->set_error_handler([](const std::string&) { outlet->writer()->lost_one(); });
    spdlog::set_default_logger(logger);
    spdlog::set_level(level_of(settings.level));
}

std::unique_ptr<LogWriter> prepare_log(const config::Log& before, const config::Log& settings) {
    if (settings.file == before.file && settings.format == before.format) return nullptr;
    return std::make_unique<LogWriter>(settings);
}

std::shared_ptr<LogWriter> change_log(const config::Log& settings, std::unique_ptr<LogWriter> prepared) {
    spdlog::set_level(level_of(settings.level));
    return prepared ? outlet->use(std::move(prepared)) : nullptr;
}

void reopen_log() { outlet->writer()->reopen(); }

void print_line(LogLine::To to, std::string text) { outlet->writer()->write({.to = to, .text = std::move(text)}); }

void end_log() {
    if (outlet) outlet->writer()->end_within(last_lines);
}

}  // namespace proxy
