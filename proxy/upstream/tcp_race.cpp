#include "proxy/upstream/tcp_race.hpp"

#include <algorithm>
#include <utility>

namespace proxy {

struct TcpRace::UnderWay {
    std::size_t number;
    tls::Socket socket;
    Clock::time_point began;
    Clock::time_point deadline;
    bool cut_short;
    std::optional<boost::system::error_code> result{};
};

struct TcpRace::State {
    explicit State(const tls::Executor& executor) : changed(executor) {}

    tls::Timer changed;  // cancelled when one has arrived or failed, and by close()
    std::vector<std::shared_ptr<UnderWay>> under_way;
    bool closed = false;
};

TcpRace::TcpRace(tls::Executor executor) : state_(std::make_shared<State>(executor)) {}

void TcpRace::begin(const Runner& runner) {
    const auto one = std::make_shared<UnderWay>(UnderWay{runner.number, tls::Socket(state_->changed.get_executor()),
                                                         Clock::now(), runner.deadline, runner.cut_short});
    boost::system::error_code error;
    one->socket.open(runner.endpoint.protocol(), error);
    state_->under_way.push_back(one);
    if (error) {
        one->result = error;
        return;
    }
    set_options(one->socket.native_handle(), runner.options);
    one->socket.async_connect(runner.endpoint, [state = state_, one](boost::system::error_code result) {
        one->result = result;
        state->changed.cancel();
    });
}

tls::Awaitable<std::optional<TcpRace::Arrival>> TcpRace::next(Clock::time_point until) {
    const auto state = state_;
    while (!state->closed) {
        const auto now = Clock::now();
        auto wake = until;
        for (auto& one : state->under_way) {
            if (!one->result && now >= one->deadline) one->result = asio::error::timed_out;
            wake = std::min(wake, one->deadline);
        }
        const auto done = std::find_if(state->under_way.begin(), state->under_way.end(),
                                       [](const auto& one) { return one->result.has_value(); });
        if (done != state->under_way.end()) {
            const std::shared_ptr<UnderWay> one = *done;
            state->under_way.erase(done);
            Arrival arrival{.number = one->number,
                            .socket = std::nullopt,
                            .error = *one->result,
                            .took = tls::since(one->began),
                            .deadline = one->deadline,
                            .cut_short = one->cut_short};
            if (!arrival.error) arrival.socket.emplace(std::move(one->socket));
            boost::system::error_code ignored;
            if (arrival.error) one->socket.close(ignored);
            co_return arrival;
        }
        if (now >= until) break;
        state->changed.expires_at(wake);
        co_await state->changed.async_wait(tls::returning());
    }
    co_return std::nullopt;
}

TcpRace::Clock::time_point TcpRace::last_began() const noexcept {
    return state_->under_way.empty() ? Clock::time_point::max() : state_->under_way.back()->began;
}

std::vector<std::size_t> TcpRace::began_by(Clock::time_point when) const {
    std::vector<std::size_t> numbers;
    for (const auto& one : state_->under_way) {
        if (one->began <= when) numbers.push_back(one->number);
    }
    return numbers;
}

void TcpRace::leave() noexcept {
    boost::system::error_code ignored;
    for (const auto& one : state_->under_way) one->socket.close(ignored);
    state_->under_way.clear();
}

void TcpRace::close() noexcept {
    leave();
    state_->closed = true;
    state_->changed.cancel();
}

}  // namespace proxy
