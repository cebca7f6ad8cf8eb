#include "proxy/server/expiry_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/record/expiry_warnings.hpp"
#include "proxy/server/expiry_file.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
using tls::Use;

/// By the wall clock, which goes on while a machine sleeps and may be set.
constexpr auto look_interval = 1h;
/// How soon it is seen that the wall clock was set.
constexpr auto clock_interval = 1min;
/// Between two looks, however often servers show something else.
constexpr auto rest = 1s;
/// Of the end: for what is being written.
constexpr auto patience = 1s;
/// A server that nobody has logged in to for so long may be there no more.
constexpr auto shown_memory = 24h * 7;
constexpr std::size_t max_shown = 4096;
constexpr std::size_t max_clients = 1024;

std::string_view phrase(Use use) noexcept {
    switch (use) {
        case Use::shown: return "a certificate that clients are shown";
        case Use::client_certificate: return "the client certificate that servers are shown";
        case Use::intermediate: return "a certificate that is sent behind our own";
        case Use::client_ca: return "a CA of clients' certificates";
        case Use::anchor: return "a trust anchor";
        case Use::candidate: return "a trust anchor of the candidate";
        case Use::candidate_certificate: return "the candidate certificate of probes";
        case Use::server: return "the certificate of a server";
        case Use::server_intermediate: return "a certificate behind that of a server";
    }
    return "";
}

std::string_view plural(Use use) noexcept {
    if (use == Use::client_ca) return "CAs of clients' certificates";
    return use == Use::candidate ? "trust anchors of the candidate" : "trust anchors";
}

tls::Validity validity_of(const InUse& one) { return {one.certificate->not_before, one.certificate->not_after}; }

/// "upstream \"orders\"", as all lines of the log have it.
std::string quoted_user(const InUse& one) {
    const std::string user = user_of(one);
    const auto blank = user.find(' ');
    return protocol::printable(user.substr(0, blank) + " \"" + user.substr(blank + 1) + "\"");
}

/// By this it is known what was told.
std::string name_of(const InUse& one) {
    return protocol::printable(std::string(tls::label(one.use)) + " " + user_of(one) + " " + one.certificate->sha256);
}

Event event_of(const InUse& one, ExpiryMoment moment, WallTime now) {
    Event event{.kind = EventKind::certificate_expiring,
                .message = std::string(phrase(one.use)) + " " + expiry_text(validity_of(one), now)};
    event.record.listener = one.listener;
    event.record.upstream = one.upstream;
    event.record.upstream_addr = one.upstream_addr;
    event.record.upstream_tls.leaf = one.certificate;
    event.expiry = std::make_shared<const ExpiryNote>(
        ExpiryNote{.use = one.use,
                   .what = what_for(one),
                   .file = one.file,
                   .alert = one.alert,
                   .moment = label(moment),
                   .days_left = std::chrono::floor<std::chrono::days>(one.certificate->not_after - now).count()});
    return event;
}

/// Those of a bundle that are only counted.
struct Others {
    std::size_t near = 0;
    std::size_t ended = 0;
    bool operator==(const Others&) const = default;
};

}  // namespace

class ExpiryWatch::Work {
   public:
    void run() noexcept;
    void begin(std::string file, Record record);
    void use(std::shared_ptr<const Snapshot> snapshot);
    void notice(const Event& event);
    std::shared_ptr<const std::vector<InUse>> watched() const;
    void close();

   private:
    struct Shown {
        std::shared_ptr<const tls::CertificateFacts> leaf;
        std::shared_ptr<const tls::Intermediates> intermediates;
        Steady::time_point seen;
    };
    bool is_hour_over(WallTime now) const { return std::chrono::abs(now - looked_) >= look_interval; }
    bool note_shown(const SessionRecord& record);
    void ask();
    void restore();
    void look(WallTime now);
    std::vector<InUse> all_in_use(const Snapshot& snapshot);
    void tell(const InUse& one, ExpiryMoment moment, WallTime now);
    void count(const std::vector<InUse>& all, WallTime now, std::chrono::milliseconds warning);
    void keep(WallTime now);

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool closed_ = false;
    bool asked_ = false;
    std::shared_ptr<const Snapshot> snapshot_;
    std::map<std::pair<std::string, std::string>, Shown> shown_;  // by upstream and address
    std::set<std::pair<std::string, std::string>> clients_;       // by listener: who has shown a certificate
    std::shared_ptr<const std::vector<InUse>> watched_;
    Record record_;

    // The thread's.
    std::optional<ExpiryFile> file_;
    ExpiryWarnings warnings_;
    WallTime looked_{};
    std::map<std::string, Others> counted_;
};

void ExpiryWatch::Work::begin(std::string file, Record record) {
    const std::lock_guard lock(mutex_);
    file_.emplace(std::move(file));
    record_ = std::move(record);
}

void ExpiryWatch::Work::use(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
    clients_.clear();  // which CAs they need is to be seen anew
    ask();
}

void ExpiryWatch::Work::notice(const Event& event) {
    const SessionRecord& record = event.record;
    if (event.kind != EventKind::connected) return;
    const std::lock_guard lock(mutex_);
    const std::string& client = record.client_tls.client_dn;
    const bool is_new_client =
        !client.empty() && clients_.size() < max_clients && clients_.emplace(record.listener, client).second;
    if (note_shown(record) || is_new_client) ask();
}

/// Whether it is news.
bool ExpiryWatch::Work::note_shown(const SessionRecord& record) {
    if (!record.upstream_tls.leaf) return false;
    std::pair<std::string, std::string> server(record.upstream, record.upstream_addr);
    const auto known = shown_.find(server);
    if (known == shown_.end() && shown_.size() >= max_shown) return false;
    Shown& shown = known == shown_.end() ? shown_[std::move(server)] : known->second;
    const bool is_news =
        shown.leaf != record.upstream_tls.leaf || shown.intermediates != record.upstream_tls.intermediates;
    shown = {record.upstream_tls.leaf, record.upstream_tls.intermediates, Steady::now()};
    return is_news;
}

void ExpiryWatch::Work::ask() {
    asked_ = true;
    wake_.notify_one();
}

std::shared_ptr<const std::vector<InUse>> ExpiryWatch::Work::watched() const {
    const std::lock_guard lock(mutex_);
    return watched_;
}

void ExpiryWatch::Work::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_.notify_one();
}

void ExpiryWatch::Work::run() noexcept {
    restore();
    std::unique_lock lock(mutex_);
    while (!closed_) {
        const WallTime now = std::chrono::system_clock::now();
        if (snapshot_ && (std::exchange(asked_, false) || is_hour_over(now))) {
            lock.unlock();
            try {
                look(now);
            } catch (const std::exception& error) {
                spdlog::error("certificates that end could not be told: {}", error.what());
            }
            lock.lock();
            wake_.wait_for(lock, rest, [this] { return closed_; });
        } else {
            wake_.wait_for(lock, clock_interval, [this] { return closed_ || (snapshot_ && asked_); });
        }
    }
}

void ExpiryWatch::Work::restore() try {
    if (!warnings_.restore(file_->read(), std::chrono::system_clock::now()))
        spdlog::warn("{} is damaged: what it said of certificates that end is told again", file_->path());
} catch (const std::exception& error) {
    spdlog::error("{}: {}: ends of certificates that were told are told again", file_->path(), error.what());
}

void ExpiryWatch::Work::look(WallTime now) {
    looked_ = now;
    std::shared_ptr<const Snapshot> snapshot;
    {
        const std::lock_guard lock(mutex_);
        snapshot = snapshot_;
    }
    const auto warning = snapshot->config.audit.expiry_warning;
    const std::vector<InUse> all = all_in_use(*snapshot);
    auto watched = std::make_shared<std::vector<InUse>>();
    std::copy_if(all.begin(), all.end(), std::back_inserter(*watched), is_watched);
    {
        const std::lock_guard lock(mutex_);
        watched_ = watched;
    }
    for (const InUse& one : *watched) {
        const ExpiryMoment moment = warnings_.due(name_of(one), validity_of(one), now, warning);
        if (moment != ExpiryMoment::none) tell(one, moment, now);
    }
    count(all, now, warning);
    keep(now);
}

/// With what servers of upstreams that are still there have shown.
std::vector<InUse> ExpiryWatch::Work::all_in_use(const Snapshot& snapshot) {
    std::vector<InUse> all = certificates_in_use(snapshot);
    const std::lock_guard lock(mutex_);
    std::erase_if(shown_, [&](const auto& one) {
        return Steady::now() - one.second.seen > shown_memory ||
               std::none_of(snapshot.upstreams.begin(), snapshot.upstreams.end(),
                            [&](const auto& route) { return route->settings.name == one.first.first; });
    });
    for (const auto& [server, shown] : shown_) {
        const auto add = [&all, &server = server](Use use, const auto& certificate) {
            InUse one{{.use = use, .file = {}, .certificate = certificate}};
            one.upstream = server.first;
            one.upstream_addr = server.second;
            all.push_back(std::move(one));
        };
        add(Use::server, shown.leaf);
        if (!shown.intermediates) continue;
        for (const auto& one : *shown.intermediates) add(Use::server_intermediate, one);
    }
    return all;
}

void ExpiryWatch::Work::tell(const InUse& one, ExpiryMoment moment, WallTime now) {
    Event event = event_of(one, moment, now);
    const std::string where = one.upstream_addr.empty() ? one.file : one.upstream_addr;
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    spdlog::warn("{}: {} ({}): {}", quoted_user(one), one.certificate->subject, protocol::printable(where),
                 event.message);
    record_(std::move(event));
}

/// Once for each number.
void ExpiryWatch::Work::count(const std::vector<InUse>& all, WallTime now, std::chrono::milliseconds warning) {
    std::map<std::string, Others> counted;
    for (const InUse& one : all) {
        if (is_watched(one)) continue;
        const ExpiryMoment moment = moment_of(validity_of(one), now, warning);
        if (moment == ExpiryMoment::none || moment == ExpiryMoment::not_yet_valid) continue;
        Others& others = counted[quoted_user(one) + ": of the " + std::string(plural(one.use)) + " in " + one.file];
        ++(moment == ExpiryMoment::ended ? others.ended : others.near);
    }
    for (const auto& [which, others] : counted) {
        if (counted_[which] == others) continue;
        spdlog::info("{} that no connection has needed so far, {} have ended and {} end soon",
                     protocol::printable(which), others.ended, others.near);
    }
    counted_ = std::move(counted);
}

void ExpiryWatch::Work::keep(WallTime now) {
    if (warnings_.has_changed()) file_->write(warnings_.text(now));
}

ExpiryWatch::ExpiryWatch() : work_(std::make_shared<Work>()) {}

ExpiryWatch::~ExpiryWatch() { end(); }

void ExpiryWatch::begin(std::string file, Record record) {
    work_->begin(std::move(file), std::move(record));
    thread_.emplace([work = work_] { work->run(); });
}

void ExpiryWatch::use(std::shared_ptr<const Snapshot> snapshot) { work_->use(std::move(snapshot)); }

void ExpiryWatch::notice(const Event& event) { work_->notice(event); }

std::shared_ptr<const std::vector<InUse>> ExpiryWatch::watched() const { return work_->watched(); }

void ExpiryWatch::end() {
    work_->close();
    if (thread_) thread_->end_within(patience);
}

}  // namespace proxy
