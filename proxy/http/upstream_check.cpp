#include "proxy/http/upstream_check.hpp"

#include <spdlog/spdlog.h>

#include "proxy/observation/often.hpp"
#include "proxy/upstream/leaving.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_interval_of_askers{20};

/// One of those that wait for a connection of ours, which may outlive what it is counted for.
class Waiting {
   public:
    explicit Waiting(std::shared_ptr<std::size_t> all) : all_(std::move(all)), before_((*all_)++) {}
    ~Waiting() { --*all_; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    std::chrono::seconds patience() const {
        if (before_ < UpstreamCheck::max_waiting) return UpstreamCheck::patience + std::chrono::seconds(1);
        const bool may_wait = before_ < UpstreamCheck::max_waiting + UpstreamCheck::max_waiting_shortly;
        return std::chrono::seconds(may_wait ? 1 : 0);
    }

   private:
    const std::shared_ptr<std::size_t> all_;
    const std::size_t before_;
};

std::string seconds_ago(UpstreamCheck::Clock::time_point when) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(UpstreamCheck::Clock::now() - when);
    return std::to_string(std::max<long long>(0, age.count())) + " s ago";
}

/// Whoever is no such server is no use to any client. Empty: all are.
std::string_view kind_of(TargetSessionAttrs wanted) {
    switch (wanted) {
        case TargetSessionAttrs::any:
        case TargetSessionAttrs::prefer_standby: break;
        case TargetSessionAttrs::read_write: return "read-write";
        case TargetSessionAttrs::read_only: return "read-only";
        case TargetSessionAttrs::primary: return "a primary";
        case TargetSessionAttrs::standby: return "a standby";
    }
    return "";
}

/// Somebody answered, and was not that.
bool lacks_kind(TargetSessionAttrs wanted, const std::string& error) {
    return !kind_of(wanted).empty() && error.find(why_unfit(wanted)) != std::string::npos;
}

}  // namespace

/// One connection, and what came of it.
struct UpstreamCheck::Visit {
    Visit(Resolver& resolver, Outages& outages, HostRoles* roles, std::shared_ptr<const UpstreamRoute> route)
        : upstream(std::move(route)), connector(resolver, outages) {
        if (roles != nullptr) connector.set_roles(*roles, std::nullopt);
    }

    const std::shared_ptr<const UpstreamRoute> upstream;
    Connector connector;
    const Steady::time_point began = Steady::now();
    bool over = false;
    std::optional<Clock::time_point> served;
    std::string address;        // that did
    std::string error;          // when it did not
    Clock::time_point ended{};  // when that was
};

UpstreamCheck::UpstreamCheck(tls::Executor executor, Resolver& resolver, Outages& outages, AskLogins logins,
                             HostRoles* roles)
    : executor_(std::move(executor)),
      resolver_(resolver),
      outages_(outages),
      logins_(std::move(logins)),
      roles_(roles) {}

void UpstreamCheck::close() {
    for (const auto& [name, visit] : visits_) visit->connector.abort("not wanted any more");
    visits_.clear();
}

tls::Awaitable<std::vector<UpstreamCheck::Result>> UpstreamCheck::ask(
    std::vector<std::shared_ptr<const UpstreamRoute>> upstreams) {
    std::vector<std::shared_ptr<Visit>> awaited;
    for (const auto& upstream : upstreams) {
        if (!is_fresh(*upstream)) awaited.push_back(visit(upstream));
    }
    const Waiting waiting(waiting_);
    const auto enough = Steady::now() + waiting.patience();
    tls::Timer timer(executor_);
    for (const auto& one : awaited) {
        while (!one->over && Steady::now() < enough) {
            timer.expires_after(look_interval_of_askers);
            co_await timer.async_wait(tls::returning());
        }
    }
    std::vector<Result> results;
    for (const auto& upstream : upstreams) results.push_back(result(*upstream));
    co_return results;
}

/// The one under way, or of the last half minute; else a new one. An upstream whose configuration
/// has changed is another one, and what has been learnt of a server's kind is worth a new one.
std::shared_ptr<UpstreamCheck::Visit> UpstreamCheck::visit(const std::shared_ptr<const UpstreamRoute>& upstream) {
    std::shared_ptr<Visit>& last = visits_[upstream->settings.name];
    const bool is_over = last && last->upstream == upstream && last->over;
    const bool is_outdated = is_over && ((last->served && fit_of(*last) == Fit::no) ||
                                         is_learnt_since(*upstream, last->served.value_or(last->ended)));
    const bool is_due =
        !last || last->upstream != upstream || is_outdated || (is_over && Steady::now() - last->began >= interval);
    if (!is_due) return last;
    if (last) last->connector.abort("not wanted any more");
    last = std::make_shared<Visit>(resolver_, outages_, roles_, upstream);
    asio::co_spawn(executor_, connect(last), [visit = last](const std::exception_ptr& failure) {
        visit->over = true;
        visit->ended = Clock::now();
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            visit->error = error.what();
            spdlog::log(often("upstream check", {}), spdlog::level::err, "an upstream could not be checked: {}",
                        error.what());
        }
    });
    return last;
}

tls::Awaitable<> UpstreamCheck::connect(std::shared_ptr<Visit> visit) {
    const config::Upstream& settings = visit->upstream->settings;
    const auto deadline = Steady::now() + patience;
    Attempts attempts({.sslmode = settings.sslmode,
                       .hosts = visit->connector.take_hosts(*visit->upstream),
                       .wanted = settings.target_session_attrs,
                       .deadline = deadline});
    Connected connected = co_await visit->connector.connect(attempts, *visit->upstream, deadline);
    if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) {
        visit->error = failure->verify_error.empty() ? failure->error : "certificate refused: " + failure->verify_error;
        co_return;
    }
    visit->address = std::get<VerifiedConnection>(connected).reached.address;
    const std::unique_ptr<tls::Stream> stream = std::move(std::get<VerifiedConnection>(connected).stream);
    if (may_have_refused(*stream)) {
        const LastWord word = co_await leave_listening(*stream);
        visit->error = word.refusal;
        if (word.refusal.empty()) visit->served = Clock::now();
        co_return;
    }
    visit->served = Clock::now();
    visit->over = true;  // what follows is not waited for
    co_await leave(*stream);
}

bool UpstreamCheck::is_fresh(const UpstreamRoute& upstream) const { return result(upstream).ok; }

/// By what is known of where it led.
Fit UpstreamCheck::fit_of(const Visit& visit) const {
    const config::Upstream& settings = visit.upstream->settings;
    if (kind_of(settings.target_session_attrs).empty()) return Fit::yes;
    if (roles_ == nullptr) return Fit::unknown;
    const HostRoles::Known known = roles_->of(settings.name, visit.address);
    const Fit fit = likely_fit(settings.target_session_attrs, known.role, std::nullopt);
    return fit == Fit::yes && known.doubtful ? Fit::unknown : fit;
}

/// Some server is of the wanted kind, and this was not known before.
bool UpstreamCheck::is_learnt_since(const UpstreamRoute& upstream, Clock::time_point when) const {
    const TargetSessionAttrs wanted = upstream.settings.target_session_attrs;
    if (roles_ == nullptr || kind_of(wanted).empty()) return false;
    const bool wants_primary = wanted == TargetSessionAttrs::read_write || wanted == TargetSessionAttrs::primary;
    const auto role = wants_primary ? protocol::HostRole::primary : protocol::HostRole::standby;
    return roles_->certain_since(upstream.settings.name, role) > when;
}

UpstreamCheck::Result UpstreamCheck::result(const UpstreamRoute& upstream) const {
    Result result{.upstream = upstream.settings.name, .text = {}};
    const TargetSessionAttrs wanted = upstream.settings.target_session_attrs;
    auto [served, failed, error] = logins_(upstream);
    // A login has seen what our connection cannot: that those who answer are not what is wanted.
    const bool is_unfit = failed && lacks_kind(wanted, error) && !is_learnt_since(upstream, *failed);
    bool is_kind_known = true;
    const auto found = visits_.find(upstream.settings.name);
    if (found != visits_.end() && found->second->upstream.get() == &upstream) {
        const Visit& last = *found->second;
        const Fit fit = fit_of(last);
        if (last.served && fit == Fit::no && (!failed || *last.served >= *failed)) {
            failed = last.served;
            error = last.address + ": " + std::string(why_unfit(wanted));
        } else if (last.served && fit != Fit::no && !is_unfit && (!served || *last.served > *served)) {
            served = last.served;
            is_kind_known = fit == Fit::yes;
        }
        if (!last.over) {
            if (!failed) error = "no answer yet";
        } else if (!last.served && (!failed || last.ended >= *failed)) {
            failed = last.ended;
            error = last.error;
        }
    }
    const bool failed_since = served && failed && *failed >= *served;
    result.ok = served && !failed_since && Clock::now() - *served < interval;
    if (result.ok) {
        const bool verifies = upstream.settings.sslmode >= protocol::SslMode::verify_ca;
        result.text = (verifies ? "verified "
                                : "reached, and not verified by sslmode=" +
                                      std::string(protocol::to_string(upstream.settings.sslmode)) + ", ") +
                      seconds_ago(*served);
        if (!is_kind_known)
            result.text += "; whether it is " + std::string(kind_of(wanted)) + " is not known: no login has told";
    } else {
        result.text = error.empty() ? "not reached" : error;
        if (lacks_kind(wanted, error)) result.text = "no host is " + std::string(kind_of(wanted)) + ": " + error;
        if (failed && !error.empty()) result.text += ", " + seconds_ago(*failed);
    }
    return result;
}

}  // namespace proxy
