#include "proxy/dashboard/dashboard_site.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "proxy/dashboard/answers.hpp"
#include "proxy/dashboard/page_files.hpp"
#include "proxy/dashboard/sessions_json.hpp"
#include "proxy/record/event_json.hpp"
#include "proxy/upstream/lasting.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;

/// A look at inventories that takes longer is told.
constexpr std::chrono::seconds long_look{30};
/// Between two looks whether somebody else has finished.
constexpr std::chrono::milliseconds a_moment{20};

/// While somebody makes what others want too.
class Making {
   public:
    explicit Making(std::shared_ptr<bool> on) : on_(std::move(on)) { *on_ = true; }
    ~Making() { *on_ = false; }
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;

   private:
    std::shared_ptr<bool> on_;
};

std::uint64_t microseconds(SystemTime time) { return static_cast<std::uint64_t>(to_timestamp(time)); }

}  // namespace

DashboardSite::DashboardSite(tls::Executor executor, std::shared_ptr<Survey> survey, std::unique_ptr<LiveSource> live)
    : executor_(executor),
      survey_(std::move(survey)),
      live_(std::move(live)),
      streams_(executor),
      timer_(executor),
      first_number_(live_ ? microseconds(live_->started) : 0) {}

void DashboardSite::begin() {
    tick();
    spawn_lasting(executor_, [this] { return run(); });
}

void DashboardSite::close() {
    closed_ = true;
    timer_.cancel();
    streams_.end();
}

tls::Awaitable<> DashboardSite::run() {
    while (!closed_) {
        timer_.expires_after(streams_.empty() ? Clock::duration(NowHistory::interval)
                                              : Clock::duration(event_interval));
        co_await timer_.async_wait(tls::returning());
        if (!closed_) tick();
    }
}

void DashboardSite::tick() {
    const auto now = Clock::now();
    const auto is_due = [&](Clock::time_point& last, Clock::duration interval) {
        if (now - last < interval) return false;
        last = now;
        return true;
    };
    if (live_ && is_due(sampled_, NowHistory::interval)) history_.add(sample(*live_));
    if (now - sessions_made_ > sessions_kept) sessions_text_.reset();
    if (streams_.empty()) return;
    survey_->wanted();
    if (live_) say_events();
    if (is_due(said_, live_ ? Clock::duration(NowHistory::interval) : Clock::duration(fleet_interval)))
        streams_.say(event_text("now", overview_text(false)));
    if (is_due(compared_, NowHistory::interval)) say_versions();
    if (is_due(kept_alive_, keep_alive_interval)) streams_.keep_alive();
}

std::optional<Week> DashboardSite::week() const {
    if (live_ && live_->recorder.unwritten()) return std::nullopt;
    return survey_->week();
}

// --- What is answered

tls::Awaitable<std::optional<HttpResponse>> DashboardSite::answer(const HttpRequest& request) {
    std::optional<HttpResponse> response = page(request.path);
    const std::string& path = request.path;
    if (response || !path.starts_with("/api/")) co_return response;
    survey_->wanted();
    const bool of_a_proxy = path == "/api/sessions.json" || path == "/api/hosts.json";
    if (of_a_proxy && !live_) {
        response = json_refusal(404, "a fleet has none: ask the HTTP of one of its proxies");
    } else if (path == "/api/overview.json") {
        response = json_answer(std::make_shared<const std::string>(overview_text(true)));
    } else if (path == "/api/sessions.json") {
        const auto most = wanted_sessions(request.query);
        if (most) {
            response = co_await sessions(*most);
        } else {
            response = json_refusal(400, "most: a number from 1 to " + std::to_string(SessionsJson::max_sessions));
        }
    } else if (path == "/api/clients.json") {
        response = surveyed(&Findings::clients);
    } else if (path == "/api/certificates.json") {
        response = surveyed(&Findings::certificates);
    } else if (path == "/api/rotation.json") {
        response = surveyed(&Findings::rotation);
    } else if (path == "/api/hosts.json") {
        const auto now = std::chrono::system_clock::now();
        response = json_answer(generated(now, serialized(hosts_object(*live_, now))));
    } else if (path == "/api/events") {
        response = events(request);
    }
    if (response) add_policy(*response);
    co_return response;
}

std::optional<HttpResponse> DashboardSite::page(const std::string& path) const {
    for (const PageFile& file : page_files()) {
        if (file.path != path) continue;
        HttpResponse response{
            .status = 200, .content_type = std::string(file.content_type), .body = std::string(file.body)};
        add_policy(response);
        return response;
    }
    return std::nullopt;
}

HttpResponse DashboardSite::surveyed(const Versioned Findings::*which) {
    const auto findings = survey_->findings();
    const Versioned& found = (*findings).*which;
    if (found.text) return json_answer(found.text);
    return json_refusal(503, findings->why_none.empty() ? "not counted yet" : findings->why_none);
}

/// A part at a time, so that others are answered meanwhile.
tls::Awaitable<HttpResponse> DashboardSite::sessions(std::size_t most) {
    while (*making_sessions_) {
        tls::Timer later(executor_, a_moment);
        co_await later.async_wait(tls::returning());
    }
    if (sessions_text_ && sessions_most_ == most && Clock::now() - sessions_made_ < sessions_age)
        co_return json_answer(sessions_text_);
    const Making making(making_sessions_);
    SessionsJson made(live_->sessions.open(), std::chrono::system_clock::now(), most);
    while (made.write_some()) co_await asio::post(executor_, asio::use_awaitable_t<tls::Executor>());
    sessions_text_ = made.finish();
    sessions_most_ = most;
    sessions_made_ = Clock::now();
    co_return json_answer(sessions_text_);
}

tls::Awaitable<HttpResponse> DashboardSite::readyz() {
    const auto end = Clock::now() + readiness_wait;
    for (;;) {
        const Survey::Readiness readiness = survey_->check();
        if (readiness.why_not.empty()) co_return http_text(200, "ok: the inventory answers");
        if (!readiness.is_at_it || Clock::now() >= end) co_return http_text(503, readiness.why_not);
        tls::Timer later(executor_, a_moment);
        co_await later.async_wait(tls::returning());
    }
}

// --- The overview

std::vector<std::string> DashboardSite::unknown(const Findings& findings) const {
    std::vector<std::string> sentences = findings.unknown;
    if (const auto unwritten = live_ ? live_->recorder.unwritten() : std::nullopt)
        sentences.insert(sentences.begin(), to_text(*unwritten));
    if (const auto unshared = live_ ? live_->recorder.unshared() : std::nullopt)
        sentences.push_back(to_text(*unshared));
    const auto since = survey_->looking_since();
    if (since && std::chrono::system_clock::now() - *since > long_look) {
        sentences.insert(sentences.begin(), "the inventory has been read since " + tls::to_rfc3339(*since) +
                                                ", and that is not done: what is shown of clients is older");
    } else if (const std::string why = survey_->why_old(); !why.empty()) {
        sentences.insert(sentences.begin(), why);
    }
    return sentences;
}

json::object DashboardSite::overview(bool whole_history) {
    const auto now = std::chrono::system_clock::now();
    const auto findings = survey_->findings();
    std::vector<Warning> warnings;
    if (live_) warnings = live_warnings(*live_, now);
    warnings.insert(warnings.end(), findings->warnings.begin(), findings->warnings.end());
    json::array sentences;
    for (const std::string& one : unknown(*findings)) sentences.push_back(name(one));
    json::value proxy;
    if (live_) {
        const bool known = !findings->proxies.empty();
        proxy = proxy_object(*live_, known ? findings->proxies.front().as_object().at("id").as_string() : "");
    }
    return {{"generated", time(now)},
            {"kind", live_ ? "proxy" : "fleet"},
            {"proxy", std::move(proxy)},
            {"proxies", findings->proxies},
            {"unknown", std::move(sentences)},
            {"warnings", warnings_array(warnings)},
            {"now", live_ ? json::value(history_.now(whole_history)) : json::value(nullptr)},
            {"clients", findings->week ? json::value(week_object(*findings->week)) : json::value(nullptr)},
            {"captures", live_ ? captures_array(*live_) : json::array()},
            {"prewarm", live_ ? prewarm_array(*live_) : json::array()}};
}

std::string DashboardSite::overview_text(bool whole_history) { return serialized(overview(whole_history)); }

// --- What is said without being asked

json::object DashboardSite::versions() {
    if (live_) {
        // What changes with every login is no other host.
        json::object hosts = hosts_object(*live_, std::chrono::system_clock::now());
        for (json::value& host : hosts.at("hosts").as_array()) {
            for (const char* busy : {"last_served", "sessions", "days_left"}) host.as_object().erase(busy);
        }
        std::string said = json::serialize(hosts);
        if (said != hosts_said_) {
            hosts_said_ = std::move(said);
            ++hosts_version_;
        }
    }
    const auto findings = survey_->findings();
    return {{"sessions", live_ ? live_->sessions.counts().changes : 0},
            {"clients", findings->clients.version},
            {"certificates", findings->certificates.version},
            {"hosts", hosts_version_},
            {"rotation", findings->rotation.version}};
}

void DashboardSite::say_versions() {
    std::string said = json::serialize(versions());
    if (said == versions_said_) return;
    streams_.say(event_text("versions", said));
    if (!live_) streams_.say(event_text("now", overview_text(false)));  // what is new is in it, and is not waited for
    versions_said_ = std::move(said);
}

std::string DashboardSite::events_behind(std::uint64_t number, std::size_t most, std::uint64_t& last) const {
    const RecentEvents::Later later = live_->recorder.recent().behind(number);
    if (later.events.empty()) return {};
    std::uint64_t next = later.first + later.events.size();
    last = next - 1;
    // From the newest back, as many as are to be told at once.
    std::vector<std::string> told;
    std::size_t bytes = 0;
    for (auto event = later.events.rbegin(); event != later.events.rend() && told.size() < most; ++event) {
        std::string one = event_text("audit", to_json(**event, live_->name), first_number_ + --next);
        bytes += one.size();
        if (bytes > max_event_bytes) break;
        told.push_back(std::move(one));
    }
    std::string text;
    const std::uint64_t left_out = last - number - told.size();
    if (left_out > 0) text = event_text("left_out", json::serialize(json::object{{"events", left_out}}));
    for (auto one = told.rbegin(); one != told.rend(); ++one) text += *one;
    return text;
}

void DashboardSite::say_events() { streams_.say(events_behind(last_event_, max_events, last_event_)); }

HttpResponse DashboardSite::events(const HttpRequest& request) {
    std::string first = event_text("now", overview_text(true)) + event_text("versions", json::serialize(versions()));
    if (live_) {
        // Those that read already hear the same, so that all are told from one number on.
        if (streams_.empty()) {
            last_event_ = 0;
            events_behind(0, 0, last_event_);
        } else {
            say_events();
        }
        std::uint64_t seen = 0;
        const std::string& id = request.last_event_id;
        const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), seen);
        const bool knows = error == std::errc() && end == id.data() + id.size() && seen >= first_number_ &&
                           seen - first_number_ <= last_event_;
        const std::uint64_t before = last_event_ - std::min<std::uint64_t>(last_event_, first_events);
        std::uint64_t last = 0;
        first += events_behind(knows ? seen - first_number_ : before, RecentEvents::max_events, last);
    }
    return streams_.open(std::move(first));
}

}  // namespace proxy::dashboard
