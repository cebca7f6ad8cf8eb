#include "proxy/server/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

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

/// Behind the logger, so that the file can be exchanged while threads log.
std::shared_ptr<spdlog::sinks::dist_sink_mt> outlet;
config::Log current;

spdlog::sink_ptr make_sink(const config::Log& settings) {
    spdlog::sink_ptr sink;
    if (settings.file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
    }
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    const bool json = settings.format == config::LogFormat::json;
    formatter->add_flag<Message>('*', settings.format)
        .set_pattern(json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","message":%*})"
                          : "%Y-%m-%dT%H:%M:%S.%eZ %l %*");
    sink->set_formatter(std::move(formatter));
    return sink;
}

spdlog::sink_ptr open_sink(const config::Log& settings) {
    try {
        return make_sink(settings);
    } catch (const spdlog::spdlog_ex& error) {
        throw std::runtime_error("cannot open log file " + settings.file + ": " + error.what());
    }
}

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
    current = settings;
    outlet = std::make_shared<spdlog::sinks::dist_sink_mt>();
    outlet->add_sink(open_sink(settings));
    // The formatter is the inner sink's: set_formatter on the outer would replace it.
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("pgairlock", outlet));
    spdlog::default_logger()->flush_on(spdlog::level::info);
    spdlog::flush_every(std::chrono::seconds(1));
    spdlog::set_level(level_of(settings.level));
}

void change_log(const config::Log& settings) {
    if (settings.file != current.file || settings.format != current.format) outlet->set_sinks({open_sink(settings)});
    spdlog::set_level(level_of(settings.level));
    current = settings;
}

void reopen_log() {
    if (current.file.empty()) return;
    try {
        outlet->set_sinks({make_sink(current)});
    } catch (const spdlog::spdlog_ex& error) {
        spdlog::error("cannot reopen log file {}: {}", current.file, error.what());
    }
}

}  // namespace proxy
