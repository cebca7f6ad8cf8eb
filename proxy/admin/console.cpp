#include "proxy/admin/console.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <random>

#include "proxy/admin/console_session.hpp"
#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

/// One of a bounded number of places, for as long as it lives.
class ConsolePlace {
   public:
    ConsolePlace(std::shared_ptr<ConsolePlaces> places, const ConsolePlaces::Place& place)
        : places_(std::move(places)), at_(places_->taken.insert(places_->taken.end(), place)) {}
    ConsolePlace(ConsolePlace&& other) noexcept : places_(std::move(other.places_)), at_(other.at_) {}
    ConsolePlace& operator=(ConsolePlace&&) = delete;
    ~ConsolePlace() {
        if (places_) places_->taken.erase(at_);
    }

   private:
    std::shared_ptr<ConsolePlaces> places_;  // nullptr: moved from
    std::list<ConsolePlaces::Place>::iterator at_;
};

template <class Which>
std::size_t count_of(const ConsolePlaces& places, Which which) {
    return static_cast<std::size_t>(std::count_if(places.taken.begin(), places.taken.end(), which));
}

protocol::ErrorResponse fatal(const char* sqlstate, std::string message, std::string hint) {
    return {.sqlstate = sqlstate, .message = std::move(message), .detail = {}, .hint = std::move(hint)};
}

protocol::ErrorResponse too_many(const std::string& limit) {
    return fatal("53300", "too many connections to the console", "It takes " + limit + " at a time.");
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

Console::Console(tls::Executor executor, ConsoleServices services)
    : executor_(std::move(executor)), state_(std::make_shared<ConsoleState>()) {
    state_->services = std::move(services);
}

void Console::close() {
    for (const auto& [key, running] : state_->queries) running->interrupt(RunningQuery::End::cancelled);
    for (Offload* const threads :
         {&starts_, &commands_, &queries_, &disk_queries_, &reader_queries_, &reader_disk_queries_})
        threads->end();
}

/// nullopt: there is a place.
std::optional<protocol::ErrorResponse> Console::why_not(std::optional<uid_t> uid, ConsoleRight right) const {
    using Place = ConsolePlaces::Place;
    if (right == ConsoleRight::none) return not_allowed(uid);
    const auto is_in = [](const Place& one) { return one.right != ConsoleRight::none; };
    const auto is_its_own = [&](const Place& one) { return is_in(one) && one.uid == *uid; };
    const auto reads = [](const Place& one) { return one.right == ConsoleRight::read; };
    if (count_of(*places_, is_in) >= max_sessions) return too_many(std::to_string(max_sessions));
    if (*uid != 0 && *uid != ::geteuid() && count_of(*places_, is_its_own) >= max_of_one_user)
        return too_many(std::to_string(max_of_one_user) + " of one user");
    if (right == ConsoleRight::read && count_of(*places_, reads) >= max_readers)
        return too_many(std::to_string(max_readers) + " of those who may only read");
    return std::nullopt;
}

void Console::take(int fd) {
    const std::optional<uid_t> uid = peer_uid(fd);
    const ConsoleRight right = uid ? right_of(*uid, admin_) : ConsoleRight::none;
    if (right == ConsoleRight::none)
        spdlog::log(often("console", "console"), spdlog::level::warn, "console: refused: uid {}",
                    uid ? std::to_string(*uid) : "unknown");
    const bool reads = right == ConsoleRight::read;
    ConsoleSession::Settings settings{.state = state_,
                                      .starts = starts_,
                                      .commands = commands_,
                                      .queries = reads ? reader_queries_ : queries_,
                                      .disk_queries = reads ? reader_disk_queries_ : disk_queries_,
                                      .asker = {.uid = uid.value_or(0), .right = right},
                                      .key = {.pid = next_pid_++, .key = random_key()},
                                      .refusal = why_not(uid, right)};
    const auto is_refused = [](const ConsolePlaces::Place& one) { return one.right == ConsoleRight::none; };
    if (settings.refusal && count_of(*places_, is_refused) >= max_refusals) {
        ::close(fd);
        return;
    }
    ConsolePlace place(places_, {.uid = settings.asker.uid, .right = settings.refusal ? ConsoleRight::none : right});
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
