#include "proxy/admin/console.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <random>

#include "proxy/admin/console_session.hpp"
#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

/// One of a bounded number of places, for as long as it lives.
class ConsolePlace {
   public:
    ConsolePlace(std::shared_ptr<void> owner, unsigned& taken) : owner_(std::move(owner)), taken_(&taken) { ++*taken_; }
    ConsolePlace(ConsolePlace&& other) noexcept
        : owner_(std::move(other.owner_)), taken_(std::exchange(other.taken_, nullptr)) {}
    ConsolePlace& operator=(ConsolePlace&&) = delete;
    ~ConsolePlace() {
        if (taken_) --*taken_;
    }

   private:
    std::shared_ptr<void> owner_;  // of the number
    unsigned* taken_;
};

protocol::ErrorResponse fatal(const char* sqlstate, std::string message, std::string hint) {
    return {.sqlstate = sqlstate, .message = std::move(message), .detail = {}, .hint = std::move(hint)};
}

protocol::ErrorResponse too_many() {
    return fatal("53300", "too many connections to the console",
                 "It takes " + std::to_string(Console::max_sessions) + " at a time.");
}

protocol::ErrorResponse not_allowed(std::optional<uid_t> uid) {
    if (!uid) return fatal("28000", "the system does not say who connects to the console", {});
    return fatal("28000", "the console is not for uid " + std::to_string(*uid),
                 "Add " + std::to_string(*uid) +
                     " to admin.console_uids, or to admin.console_readers, in pgairlock's configuration.");
}

/// What others on this host must not guess: they would end a capture with it.
std::uint32_t random_key() {
    std::random_device device;
    return device();
}

tls::Awaitable<> serve_console(ConsoleSession::Settings settings, tls::Socket socket, ConsolePlace place) {
    const ConsolePlace taken = std::move(place);
    ConsoleSession session(std::move(settings), std::move(socket));
    co_await session.converse();
}

}  // namespace

Console::Console(tls::Executor executor, CaptureControl captures)
    : executor_(std::move(executor)), state_(std::make_shared<ConsoleState>()) {
    state_->captures = std::move(captures);
}

void Console::take(int fd) {
    const std::optional<uid_t> uid = peer_uid(fd);
    ConsoleSession::Settings settings{.state = state_,
                                      .commands = commands_,
                                      .asker = {.uid = uid.value_or(0), .right = ConsoleRight::none},
                                      .key = {.pid = next_pid_++, .key = random_key()},
                                      .refusal = {}};
    if (uid) settings.asker.right = right_of(*uid, admin_);
    if (settings.asker.right == ConsoleRight::none) {
        settings.refusal = not_allowed(uid);
        spdlog::log(often("console", "console"), spdlog::level::warn, "console: refused: uid {}",
                    uid ? std::to_string(*uid) : "unknown");
    } else if (counts_->sessions >= max_sessions) {
        settings.refusal = too_many();
    }
    if (settings.refusal && counts_->refusals >= max_refusals) {
        ::close(fd);
        return;
    }
    ConsolePlace place(counts_, settings.refusal ? counts_->refusals : counts_->sessions);
    tls::Socket socket(executor_);
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd);
    try {
        asio::co_spawn(executor_, serve_console(std::move(settings), std::move(socket), std::move(place)),
                       [](std::exception_ptr failure) {
                           try {
                               if (failure) std::rethrow_exception(failure);
                           } catch (const std::exception& error) {
                               spdlog::error("console: {}", error.what());
                           }
                       });
    } catch (const std::bad_alloc&) {
        spdlog::error("console: out of memory");  // the descriptor is closed with the socket
    }
}

}  // namespace proxy
