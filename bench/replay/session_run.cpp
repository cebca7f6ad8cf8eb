#include "bench/replay/session_run.hpp"

#include "bench/replay/opening_comparison.hpp"
#include "bench/replay/opening_of.hpp"
#include "bench/replay/run.hpp"

namespace bench::replay {

tls::Awaitable<Outcome> Run::play() {
    const auto self = shared_from_this();
    const tls::Executor executor = co_await asio::this_coro::executor;
    change_.emplace(executor);
    const bool opened = co_await open();
    if (!opened) co_return std::move(outcome_);
    if (rules_.openings) {
        co_await close_opened();
        co_return std::move(outcome_);
    }
    client_->stream().begin_relay();
    asked_.resize(units().size());
    skip_left_out();
    take(client_->ahead());
    progress_ = Clock::now();
    others_ = 2;
    const auto ended = [self](std::exception_ptr thrown) { self->other_ended(thrown); };
    asio::co_spawn(
        executor, [self] { return self->hear(); }, ended);
    asio::co_spawn(
        executor, [self] { return self->watch(); }, ended);
    try {
        co_await say_all();
    } catch (const std::exception& error) {
        fail(error.what());
    }
    while (others_ > 0) {
        change_->expires_at(Clock::now() + look_again);
        co_await change_->async_wait(tls::returning());
    }
    co_return std::move(outcome_);
}

/// False: there is no session.
tls::Awaitable<bool> Run::open() {
    Attempt attempt;
    try {
        Opening opening = opening_of(target_, session_, rules_);
        Client opened = co_await Client::open_as(*target_.route, std::move(opening));
        client_.emplace(std::move(opened));
    } catch (const PhaseError& failed) {
        attempt = {.error = failed.what(),
                   .sqlstate = failed.sqlstate,
                   .phase = failed.phase,
                   .certificate_refused = failed.certificate_refused,
                   .cannot_log_in = failed.cannot_log_in};
    }
    note_groups();
    compare_opening(session_, attempt, rules_.openings, outcome_);
    if (attempt.error.empty()) co_return true;
    for (const Unit& unit : units()) {
        for (const Statement& statement : unit.statements) outcome_.not_played += statement.left_out == LeftOut::no;
    }
    co_return false;
}

/// What of its TLS is not as it was.
void Run::note_groups() {
    if (!rules_.openings || !target_.route->target().encrypts()) return;
    const auto groups = groups_of(target_, session_, rules_);
    outcome_.own_groups = !groups;
    if (groups) outcome_.tls_left_out = groups->left_out;
}

tls::Awaitable<> Run::close_opened() {
    try {
        co_await client_->close();
    } catch (const std::exception&) {
        // It was opened, and nothing else is asked.
    }
}

std::string what_of(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an error without a name";
    }
}

tls::Awaitable<Outcome> play_session(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules,
                                     Latency& latency) {
    PlayRules own = rules;
    own.openings = rules.openings || session.openings;
    if (std::string why = cannot_open(target, session, own); !why.empty()) {
        Outcome outcome;
        outcome.left_out = std::move(why);
        co_return outcome;
    }
    const auto run = std::make_shared<Run>(target, session, own, latency);
    co_return co_await run->play();
}

}  // namespace bench::replay
