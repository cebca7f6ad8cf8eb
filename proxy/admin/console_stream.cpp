// CAPTURE START ... TO STDOUT: the capture writes to the client of a console session, which waits
// for the end of either.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "proxy/admin/capture_options.hpp"
#include "proxy/admin/console_error.hpp"
#include "proxy/admin/console_session.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using protocol::ConsoleStatement;
using protocol::ErrorResponse;

/// Between the ReadyForQuery that ends a stream and the capture's being over.
constexpr auto end_timeout = 5s;
constexpr auto end_poll_interval = 20ms;

/// What is written to whom, for CancelRequests, while it is.
class Announced {
   public:
    Announced(std::shared_ptr<ConsoleState> state, const ConsoleState::Key& key, std::uint64_t id)
        : state_(std::move(state)), key_(key) {
        state_->streams[key_] = id;
    }
    Announced(const Announced&) = delete;
    Announced& operator=(const Announced&) = delete;
    ~Announced() { state_->streams.erase(key_); }

   private:
    std::shared_ptr<ConsoleState> state_;
    ConsoleState::Key key_;
};

}  // namespace

tls::Awaitable<> ConsoleSession::stream_capture(const ConsoleStatement& start) {
    std::optional<ErrorResponse> wrong = forbidden(start, settings_.asker);
    if (!wrong) {
        const auto order = capture_order(start);
        if (const auto* why = std::get_if<ErrorResponse>(&order)) wrong = *why;
    }
    // Shared, for work that may be copied, or never begun.
    const auto out = std::make_shared<OwnedDescriptor>(::fcntl(stream_.socket().native_handle(), F_DUPFD_CLOEXEC, 0));
    if (!wrong && !*out) wrong = console_error("53000", "there is no descriptor left for the capture");
    if (wrong) {
        fail(*wrong);
        co_return;
    }
    append_warning(out_, start);
    // What follows is written by the capture.
    protocol::append_copy_response(out_, protocol::CopyResponse::out, protocol::CopyFormat::binary);
    co_await flush();
    auto work = [start, out, asker = settings_.asker, captures = settings_.state->services.captures] {
        return start_capture(start, asker, captures, std::move(*out));
    };
    auto started = co_await settings_.starts.run(std::move(work), command_deadline(), waiting_);
    if (!started) {
        // It may still begin, and is to find nobody then.
        ::shutdown(stream_.socket().native_handle(), SHUT_RDWR);
        over_ = true;
    } else if (const auto* why = std::get_if<ErrorResponse>(&*started)) {
        fail(*why);
    } else {
        told_ready_ = true;
        co_await follow_stream(std::get<CaptureStatus>(*started).id);
    }
}

/// Until the client goes, which ends the capture, or goes on, which it may once it has ended.
tls::Awaitable<> ConsoleSession::follow_stream(std::uint64_t id) {
    const Announced announced(settings_.state, settings_.key, id);
    std::optional<Message> message;
    try {
        message = co_await next_message();
    } catch (const tls::StreamError&) {
        message.reset();
    }
    const bool stays = message && message->type != 'X';
    bool ended = false;
    if (stays) ended = co_await has_ended(id);
    if (ended) {
        put_back_ = std::move(message);
        co_return;
    }
    over_ = true;
    co_await stop_capture(id);
}

/// The client may know a moment before everybody else.
tls::Awaitable<bool> ConsoleSession::has_ended(std::uint64_t id) {
    for (const auto deadline = Clock::now() + end_timeout; Clock::now() < deadline;) {
        auto work = [captures = settings_.state->services.captures] { return captures.status(); };
        const auto running = co_await settings_.commands.run(std::move(work), command_deadline(), waiting_);
        const auto is_it = [id](const CaptureStatus& one) {
            return one.id == id && one.state == CaptureState::running;
        };
        if (running && std::none_of(running->begin(), running->end(), is_it)) co_return true;
        waiting_->expires_after(end_poll_interval);
        co_await waiting_->async_wait(tls::returning());
    }
    co_return false;
}

tls::Awaitable<> ConsoleSession::stop_capture(std::uint64_t id) {
    const std::string by = "uid " + std::to_string(settings_.asker.uid);
    auto work = [captures = settings_.state->services.captures, id, by] { return captures.stop(id, by); };
    co_await settings_.commands.run(std::move(work), command_deadline(), waiting_);
}

}  // namespace proxy
