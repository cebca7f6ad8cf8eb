#include "proxy/upstream/login_turns.hpp"

#include <new>
#include <utility>

namespace proxy {

struct LoginTurns::Waiter {
    tls::Executor executor;
    std::weak_ptr<tls::Timer> timer;
    std::string source;
    Place place{};                                      // while it waits
    enum { waiting, granted, failed } state = waiting;  // under the mutex, as what is above and below
    std::shared_ptr<const std::string> error{};
    bool waits = true;  // on its own thread
};

/// In the line until it is taken out: also where the wait itself ends for want of memory, of which
/// the coroutine hears no more than its locals.
class LoginTurns::Stay {
   public:
    Stay(LoginTurns& turns, Lines::iterator line, std::shared_ptr<Waiter> waiter)
        : turns_(turns), line_(line), waiter_(std::move(waiter)) {}
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() {
        if (is_over_) return;
        const std::lock_guard lock(turns_.mutex_);
        waiter_->waits = false;
        if (waiter_->state == Waiter::granted) turns_.end(line_);
        if (waiter_->state != Waiter::waiting) return;  // then it is out of the line, which may have gone
        turns_.leave(line_->second, *waiter_);
        turns_.forget_unused(line_);
    }
    void is_over() noexcept { is_over_ = true; }

   private:
    LoginTurns& turns_;
    const Lines::iterator line_;
    const std::shared_ptr<Waiter> waiter_;
    bool is_over_ = false;
};

tls::Awaitable<LoginTurns::Outcome> LoginTurns::take(Wish wish, std::shared_ptr<tls::Timer> waiting) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    waiting->expires_at(wish.deadline);
    const auto waiter =
        std::make_shared<Waiter>(Waiter{.executor = executor, .timer = waiting, .source = std::move(wish.source)});
    Lines::iterator line;
    {
        const std::lock_guard lock(mutex_);
        line = lines_.try_emplace(wish.host).first;
        line->second.at_once = wish.at_once;
        join(line, waiter);
        grant(line->second);
        if (waiter->state == Waiter::granted) {
            waiter->waits = false;
            co_return Turn(*this, line);
        }
    }
    Stay stay(*this, line, waiter);
    co_await waiting->async_wait(tls::returning());
    stay.is_over();
    waiter->waits = false;  // the timer may be waited for by somebody else by now
    const std::lock_guard lock(mutex_);
    if (waiter->state == Waiter::granted) co_return Turn(*this, line);
    if (waiter->state == Waiter::failed) co_return Unanswering{.error = waiter->error};
    leave(line->second, *waiter);
    forget_unused(line);
    co_return TooLate();
}

LoginTurns::Turn LoginTurns::take_at_once(const Host& host, unsigned at_once) {
    const std::lock_guard lock(mutex_);
    const auto line = lines_.try_emplace(host).first;
    line->second.at_once = at_once;
    grant(line->second);
    const bool is_free = at_once == 0 || line->second.in_flight < at_once;
    if (!is_free) return {};
    ++line->second.in_flight;
    return Turn(*this, line);
}

std::map<LoginTurns::Host, LoginTurns::Numbers> LoginTurns::numbers() const {
    std::map<Host, Numbers> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [host, line] : lines_)
        all[host] = {.in_flight = line.in_flight, .waiting = static_cast<unsigned>(line.waiting.size())};
    return all;
}

void LoginTurns::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
}

/// Under the mutex, and so all below. A source that has nobody waiting comes in the next round.
/// Where there is no memory for it everything is as it was.
void LoginTurns::join(Lines::iterator at, const std::shared_ptr<Waiter>& waiter) {
    Line& line = at->second;
    try {
        Source& source = line.sources[waiter->source];
        const std::uint64_t before = source.waiting == 0 ? line.round : source.last_round;
        waiter->place = {before + 1, ++line.came};
        line.waiting.emplace(waiter->place, waiter);
        ++source.waiting;
        source.last_round = before + 1;
    } catch (const std::bad_alloc&) {
        std::erase_if(line.sources, [](const auto& one) { return one.second.waiting == 0; });
        forget_unused(at);
        throw;
    }
}

void LoginTurns::leave(Line& line, Waiter& waiter) {
    line.waiting.erase(waiter.place);
    const auto source = line.sources.find(waiter.source);
    if (--source->second.waiting == 0) line.sources.erase(source);
}

/// As many as may be.
void LoginTurns::grant(Line& line) {
    while (!closed_ && !line.waiting.empty() && (line.at_once == 0 || line.in_flight < line.at_once)) {
        const std::shared_ptr<Waiter> next = line.waiting.begin()->second;
        line.round = next->place.first;
        leave(line, *next);
        ++line.in_flight;
        next->state = Waiter::granted;
        wake(next);
    }
}

void LoginTurns::wake(const std::shared_ptr<Waiter>& waiter) const {
    if (closed_) return;
    try {
        asio::post(waiter->executor, [waiter] {
            const auto timer = waiter->timer.lock();
            if (timer && waiter->waits) timer->cancel();
        });
    } catch (const std::bad_alloc&) {
        // It wakes at its deadline, and is then told the same.
    }
}

void LoginTurns::end(Lines::iterator line) {
    --line->second.in_flight;
    grant(line->second);
    forget_unused(line);
}

/// Whoever waits or has the turn has an iterator. With it goes when the host has answered last,
/// which only those want to know who have their turn already.
void LoginTurns::forget_unused(Lines::iterator line) {
    if (line->second.in_flight == 0 && line->second.waiting.empty()) lines_.erase(line);
}

void LoginTurns::failed(Lines::iterator line, Clock::time_point since, const std::string& error) {
    if (line->second.answered >= since) return;
    // Before anybody is taken out of the line: without memory they stay in it.
    const auto shared = std::make_shared<const std::string>(error);
    line->second.sources.clear();
    const auto told = std::exchange(line->second.waiting, {});
    for (const auto& [place, waiter] : told) {
        waiter->state = Waiter::failed;
        waiter->error = shared;
        wake(waiter);
    }
}

// --- Turn

LoginTurns::Turn::Turn(Turn&& other) noexcept
    : turns_(std::exchange(other.turns_, nullptr)), line_(other.line_), began_(other.began_) {}

LoginTurns::Turn& LoginTurns::Turn::operator=(Turn&& other) noexcept {
    if (this == &other) return *this;
    end();
    turns_ = std::exchange(other.turns_, nullptr);
    line_ = other.line_;
    began_ = other.began_;
    return *this;
}

void LoginTurns::Turn::answered() {
    if (turns_ == nullptr) return;
    const std::lock_guard lock(turns_->mutex_);
    line_->second.answered = Clock::now();
}

void LoginTurns::Turn::unanswered(const std::string& error) {
    if (turns_ == nullptr) return;
    const std::lock_guard lock(turns_->mutex_);
    turns_->failed(line_, began_, error);
}

void LoginTurns::Turn::end() noexcept {
    LoginTurns* const turns = std::exchange(turns_, nullptr);
    if (turns == nullptr) return;
    const std::lock_guard lock(turns->mutex_);
    turns->end(line_);
}

}  // namespace proxy
