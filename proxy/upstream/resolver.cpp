#include "proxy/upstream/resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "proxy/upstream/offload.hpp"

namespace proxy {
namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;
using Clock = std::chrono::steady_clock;

/// A name that no reload left anybody to ask for gives its thread back after this.
constexpr std::chrono::minutes unused_name{10};

std::string error_text(const std::string& host, std::string_view why) {
    return "could not translate host name \"" + host + "\" to address: " + std::string(why);
}

/// As libpq asks, without AI_ADDRCONFIG: that leaves out 127.0.0.1 on a host whose only other
/// addresses are IPv6, because it does not count loopback.
Resolved look_up_with_getaddrinfo(const std::string& host) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    const int system_error = errno;
    Resolved resolved;
    if (error != 0) {
        resolved.error = error_text(host, error == EAI_SYSTEM ? std::strerror(system_error) : gai_strerror(error));
        resolved.is_ours =
            error == EAI_MEMORY || (error == EAI_SYSTEM && (system_error == EMFILE || system_error == ENFILE));
        resolved.passing = error == EAI_AGAIN || resolved.is_ours;
        return resolved;
    }
    for (const addrinfo* info = found; info; info = info->ai_next) {
        resolved.endpoints.emplace_back(info->ai_addr, info->ai_addrlen, IPPROTO_TCP);
    }
    freeaddrinfo(found);
    return resolved;
}

Resolved with_port(Resolved resolved, std::uint16_t port) {
    for (Endpoint& endpoint : resolved.endpoints) {
        sockaddr* address = endpoint.data();
        if (address->sa_family == AF_INET) reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
        if (address->sa_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
    }
    return resolved;
}

}  // namespace

/// One who waits for an answer; touched on its own thread only.
struct Resolver::Pending {
    std::shared_ptr<tls::Timer> timer;
    std::optional<Resolved> answer;
};

struct Resolver::Waiter {
    tls::Executor executor;
    std::weak_ptr<Pending> pending;  // weak: a look-up that hangs outlives those who gave up waiting
};

/// What is known of one name. Shared with its look-up, which may outlive the Resolver.
class Resolver::Answers {
   public:
    explicit Answers(std::string host) : host_(std::move(host)) {}

    /// Adds one who waits. Calls `begin` when no look-up is in flight.
    void wait(Waiter waiter, const std::function<void()>& begin) {
        const std::lock_guard lock(mutex_);
        if (waiters_.size() == waiters_.capacity())
            std::erase_if(waiters_, [](const Waiter& one) { return one.pending.expired(); });
        waiters_.push_back(std::move(waiter));
        if (in_flight_) return;
        begin();
        in_flight_ = true;
        begun_ = Clock::now();
    }

    /// On the name's thread.
    void take(std::optional<Resolved> found) {
        const std::lock_guard lock(mutex_);
        in_flight_ = false;
        ended_ = Clock::now();
        Resolved answer = found ? std::move(*found) : Resolved{{}, error_text(host_, "the look-up failed")};
        if (!answer.endpoints.empty()) {
            if (std::exchange(silent_, false)) spdlog::info("host name \"{}\" is translated again", host_);
            good_ = answer.endpoints;
            good_at_ = ended_;
        } else if (answer.passing && fresh_enough(ended_)) {
            answer = stand_in(answer.error);
        }
        for (Waiter& waiter : waiters_) {
            asio::post(waiter.executor, [waiting = std::move(waiter.pending), answer]() mutable {
                const auto pending = waiting.lock();
                if (!pending) return;
                pending->answer = std::move(answer);
                pending->timer->cancel();
            });
        }
        waiters_.clear();
    }

    /// From when on the last answer may stand in for the look-up in flight.
    Clock::time_point stands_in_from() {
        const std::lock_guard lock(mutex_);
        const auto from = begun_ + patience;
        return fresh_enough(std::max(from, Clock::now())) ? from : Clock::time_point::max();
    }

    Resolved last_answer() {
        const std::lock_guard lock(mutex_);
        return stand_in("no answer yet");
    }

    bool unused_since(Clock::time_point when) {
        const std::lock_guard lock(mutex_);
        return !in_flight_ && ended_ < when;
    }

   private:
    bool fresh_enough(Clock::time_point when) const { return !good_.empty() && when < good_at_ + max_age; }

    Resolved stand_in(std::string_view why) {
        if (!std::exchange(silent_, true)) {
            spdlog::warn("host name \"{}\": {}; its addresses of a moment ago are used for up to {} s", host_, why,
                         max_age.count());
        }
        return {.endpoints = good_, .error = {}, .stale = true};
    }

    const std::string host_;
    std::mutex mutex_;
    std::vector<Waiter> waiters_;
    bool in_flight_ = false;
    bool silent_ = false;  // and the log says so
    Clock::time_point begun_{}, ended_{}, good_at_{};
    std::vector<Endpoint> good_;  // the last answer
};

struct Resolver::Name {
    explicit Name(const std::string& host) : answers(std::make_shared<Answers>(host)) {}

    std::shared_ptr<Answers> answers;
    Offload thread{1};
};

Resolver::Resolver() : Resolver(look_up_with_getaddrinfo) {}

Resolver::Resolver(LookUp look_up) : look_up_(std::move(look_up)) {}

Resolver::~Resolver() = default;

void Resolver::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& [host, name] : names_) name->thread.close();
}

tls::Awaitable<Resolved> Resolver::resolve(const config::Address& address, Clock::time_point deadline,
                                           std::shared_ptr<tls::Timer> waiting) {
    if (address.kind == config::Address::Kind::unix_socket) {
        co_return Resolved{{Endpoint(asio::local::stream_protocol::endpoint(address.host))}, {}};
    }
    boost::system::error_code not_literal;
    const auto literal = asio::ip::make_address(address.host, not_literal);
    if (!not_literal) co_return Resolved{{Endpoint(asio::ip::tcp::endpoint(literal, address.port))}, {}};

    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto pending = std::make_shared<Pending>();
    pending->timer = waiting;
    const std::shared_ptr<Answers> answers = ask(address.host, {executor, pending});
    if (answers) {
        const auto stands_in_from = answers->stands_in_from();
        waiting->expires_at(std::min(deadline, stands_in_from));
        const auto [cancelled] = co_await waiting->async_wait(tls::returning());
        if (pending->answer) co_return with_port(std::move(*pending->answer), address.port);
        if (!cancelled && stands_in_from < deadline) co_return with_port(answers->last_answer(), address.port);
    }
    co_return Resolved{{}, error_text(address.host, "timeout expired")};
}

/// nullptr: closed.
std::shared_ptr<Resolver::Answers> Resolver::ask(const std::string& host, Waiter waiter) {
    const std::lock_guard lock(mutex_);
    if (closed_) return nullptr;
    auto known = names_.find(host);
    if (known == names_.end()) {
        std::erase_if(names_, [before = Clock::now() - unused_name](const auto& one) {
            return one.second->answers->unused_since(before);
        });
        known = names_.emplace(host, std::make_unique<Name>(host)).first;
    }
    Name& name = *known->second;
    name.answers->wait(std::move(waiter), [&] {
        name.thread.submit(
            [look_up = look_up_, host] { return look_up(host); },
            [answers = name.answers](std::optional<Resolved> found) { answers->take(std::move(found)); });
    });
    return name.answers;
}

std::string to_string(const Endpoint& endpoint) {
    char host[NI_MAXHOST] = "";
    char port[NI_MAXSERV] = "";
    if (endpoint.data()->sa_family == AF_UNIX) {
        return std::string("unix:") + reinterpret_cast<const sockaddr_un*>(endpoint.data())->sun_path;
    }
    getnameinfo(endpoint.data(), static_cast<socklen_t>(endpoint.size()), host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    return (endpoint.data()->sa_family == AF_INET6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

}  // namespace proxy
