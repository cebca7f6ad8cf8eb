// What the server answers, and what ends a session before its time.
#include "bench/replay/run.hpp"
#include "bench/target/interrupt.hpp"

namespace bench::replay {

tls::Awaitable<> Run::hear() {
    tls::Stream& stream = client_->stream();
    while (!over_) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_read, tls::returning());
        if (error || over_) break;
        const tls::Stream::Received received = stream.receive();
        progress_ = Clock::now();
        take(received.bytes);
        if (received.end != tls::End::open) stop("the server closed the connection");
    }
}

/// However it did: play() waits for all of them.
void Run::other_ended(std::exception_ptr thrown) {
    if (thrown) fail(what_of(thrown));
    --others_;
    changed();
}

void Run::take(protocol::Bytes bytes) {
    while (const auto type = answers_.next(bytes)) {
        if (*type == 'Z') answered();
        const bool wants_data = *type == 'G' || *type == 'W';
        if (wants_data && current_ < units().size() && !units()[current_].copies_in) copy_stuck_ = true;
    }
    if (answers_.broken()) stop("the server sent what is no message of the protocol");
    changed();
}

void Run::answered() {
    const Answer answer = answers_.take();
    if (current_ >= units().size()) return stop("the server answered what nobody asked");
    const Unit& unit = units()[current_];
    compare(unit, answer, rules_.rows, outcome_);
    if (asked_[current_] != Clock::time_point()) {
        latency_.here.record(Clock::now() - asked_[current_]);
        latency_.captured.record(unit.took);
    }
    ++current_;
    skip_left_out();
}

void Run::skip_left_out() {
    while (current_ < units().size() && units()[current_].requests.empty()) ++current_;
}

/// Nothing more comes of it. What was asked and not answered is a difference, unless all was said.
void Run::stop(const std::string& why) {
    if (over_) return;
    over_ = true;
    client_->stream().close();
    changed();
    if (ending_) return;
    const Answer rest = answers_.take();
    outcome_.failure = rest.results.empty() ? why : why + ": " + rest.results.back().shown();
    bool first = !interrupted();
    for (std::size_t i = current_; i < units().size(); ++i) {
        for (const Statement& statement : units()[i].statements) {
            if (statement.left_out != LeftOut::no) continue;
            ++outcome_.not_played;
            const auto& results = units()[i].expected.results;
            if (std::exchange(first, false)) {
                outcome_.differs({.statement = statement.number,
                                  .sql = statement.sql,
                                  .was = results.empty() ? "answered" : results.front().shown(),
                                  .is = outcome_.failure});
            }
        }
    }
}

/// What is no answer of the server: a failure whenever it comes.
void Run::fail(const std::string& why) {
    ending_ = false;
    stop(why);
    if (outcome_.failure.empty()) outcome_.failure = why;
}

tls::Awaitable<> Run::watch() {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    while (!over_) {
        timer.expires_at(Clock::now() + look_again);
        co_await timer.async_wait(tls::returning());
        if (interrupted()) stop("interrupted");
        if (busy_ && Clock::now() - progress_ > rules_.timeout)
            stop("no answer within " + std::to_string(rules_.timeout.count() / 1000) + " s");
    }
}

}  // namespace bench::replay
