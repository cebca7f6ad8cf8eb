#include "bench/replay/player.hpp"

#include <algorithm>
#include <queue>

#include "bench/target/interrupt.hpp"

namespace bench::replay {
namespace {

constexpr std::chrono::milliseconds look{100};

/// By session, how many were open when it began, with itself.
std::vector<unsigned> open_beside(const std::vector<CapturedSession>& sessions) {
    std::vector<unsigned> out;
    std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> ends;
    for (const CapturedSession& session : sessions) {
        while (!ends.empty() && ends.top() <= session.plan.started) ends.pop();
        if (session.left_out.empty()) ends.push(session.plan.ended);
        out.push_back(std::max(1U, static_cast<unsigned>(ends.size())));
    }
    return out;
}

/// One of --clients: the whole capture once.
class Lane {
   public:
    Lane(const ReplayTarget& target, const Capture& capture, const PlayRules& rules, Played& into)
        : target_(target), capture_(capture), rules_(rules), into_(into), beside_(open_beside(capture.sessions)) {}

    tls::Awaitable<> play() {
        const tls::Executor executor = co_await asio::this_coro::executor;
        change_.emplace(executor);
        const auto begin = Clock::now();
        std::uint64_t first = 0;
        for (std::size_t i = 0; i < capture_.sessions.size() && !interrupted(); ++i) {
            const CapturedSession& session = capture_.sessions[i];
            if (!session.left_out.empty()) continue;
            if (first == 0) first = session.plan.started;
            const bool now = rules_.speed <= 0;
            const auto since = static_cast<double>(session.plan.started - std::min(first, session.plan.started));
            const auto due = begin + Duration(now ? 0 : static_cast<Duration::rep>(since / rules_.speed));
            while (!interrupted() && (Clock::now() < due || (now && open_ >= beside_[i]))) {
                change_->expires_at(std::min(now ? Clock::time_point::max() : due, Clock::now() + look));
                co_await change_->async_wait(tls::returning());
            }
            if (interrupted()) break;
            ++open_;
            into_.begun[i] = true;
            asio::co_spawn(
                executor, [this, i] { return play_one(i); },
                [this, i](std::exception_ptr thrown) { ended(i, thrown); });
        }
        while (open_ > 0) {
            change_->expires_at(Clock::now() + look);
            co_await change_->async_wait(tls::returning());
        }
    }

   private:
    tls::Awaitable<> play_one(std::size_t i) {
        const Outcome outcome = co_await play_session(target_, capture_.sessions[i], rules_, into_.latency);
        into_.outcomes[i].add(outcome);
    }

    void ended(std::size_t i, std::exception_ptr thrown) {
        if (thrown) {
            Outcome failed;
            failed.failure = what_of(thrown);
            into_.outcomes[i].add(failed);
        }
        --open_;
        change_->cancel();
    }

    const ReplayTarget& target_;
    const Capture& capture_;
    const PlayRules& rules_;
    Played& into_;
    std::vector<unsigned> beside_;
    std::optional<tls::Timer> change_;
    unsigned open_ = 0;
};

}  // namespace

Played play(const ReplayTarget& target, const Capture& capture, const PlayRules& rules) {
    const Target& where = target.route->target();
    Played played{.name = where.name,
                  .address = address_text(where),
                  .outcomes = std::vector<Outcome>(capture.sessions.size()),
                  .begun = std::vector<bool>(capture.sessions.size()),
                  .latency = {}};
    asio::io_context io(1);
    std::vector<std::unique_ptr<Lane>> lanes;
    for (unsigned i = 0; i < rules.clients; ++i) {
        lanes.push_back(std::make_unique<Lane>(target, capture, rules, played));
        asio::co_spawn(
            io, [&lane = *lanes.back()] { return lane.play(); },
            [](std::exception_ptr thrown) {
                if (thrown) std::rethrow_exception(thrown);
            });
    }
    io.run();
    return played;
}

}  // namespace bench::replay
