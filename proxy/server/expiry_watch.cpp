#include "proxy/server/expiry_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "proxy/record/expiry_warnings.hpp"
#include "proxy/server/expiry_budget.hpp"
#include "proxy/server/expiry_file.hpp"
#include "proxy/server/expiry_words.hpp"

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
constexpr auto end_patience = 1s;
/// A server that nobody has logged in to for so long may be there no more.
constexpr auto shown_memory = 24h * 7;
constexpr std::size_t max_shown = 4096;
constexpr std::size_t max_clients = 1024;

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
    bool look(WallTime now);
    std::vector<InUse> all_in_use(const Snapshot& snapshot);
    bool tell(const InUse& one, ExpiryMoment moment, WallTime now);
    void count(const std::vector<InUse>& all, WallTime now, std::chrono::milliseconds warning);
    void keep(WallTime now);

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool closed_ = false;
    bool asked_ = false;
    std::shared_ptr<const Snapshot> snapshot_;
    NeededBefore needed_before_;                                  // of the snapshots before it
    std::map<std::pair<std::string, std::string>, Shown> shown_;  // by upstream and address
    std::set<std::pair<std::string, std::string>> clients_;       // by listener: who has shown a certificate
    std::shared_ptr<const std::vector<InUse>> watched_;
    Record record_;

    // The thread's.
    std::optional<ExpiryFile> file_;
    ExpiryWarnings warnings_;
    ExpiryBudget budget_;
    WallTime looked_{};
    std::map<std::string, NearEnds> counted_;
};

void ExpiryWatch::Work::begin(std::string file, Record record) {
    const std::lock_guard lock(mutex_);
    file_.emplace(std::move(file));
    record_ = std::move(record);
}

void ExpiryWatch::Work::use(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    if (snapshot_) needed_before_.take(certificates_in_use(*snapshot_));
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
    std::chrono::milliseconds pause = rest;
    std::unique_lock lock(mutex_);
    while (!closed_) {
        const WallTime now = std::chrono::system_clock::now();
        if (snapshot_ && (std::exchange(asked_, false) || is_hour_over(now))) {
            lock.unlock();
            bool is_told = false;
            try {
                is_told = look(now);
            } catch (const std::exception& error) {
                spdlog::error("certificates that end could not be told: {}", error.what());
            }
            lock.lock();
            asked_ = asked_ || !is_told;  // what was not told is still due
            pause = is_told ? rest : std::min<std::chrono::milliseconds>(2 * pause, clock_interval);
            wake_.wait_for(lock, pause, [this] { return closed_; });
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

/// False: something is still to be told.
bool ExpiryWatch::Work::look(WallTime now) {
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
    bool is_told = true;
    for (const InUse& one : *watched) {
        const std::string which = name_of(one);
        const ExpiryMoment moment = warnings_.due(which, validity_of(one), now, warning);
        if (moment == ExpiryMoment::none) continue;
        // What a server still shows in an hour is told then.
        const bool is_shown = one.use == Use::server || one.use == Use::server_intermediate;
        if (is_shown && !budget_.may_tell({one.upstream, one.upstream_addr}, which, Steady::now())) continue;
        if (tell(one, moment, now)) {
            warnings_.note_told(which, moment, now);
        } else {
            is_told = false;
        }
    }
    count(all, now, warning);
    keep(now);  // also after the end: what was told until then
    return is_told;
}

/// With what servers of upstreams that are still there have shown.
std::vector<InUse> ExpiryWatch::Work::all_in_use(const Snapshot& snapshot) {
    std::vector<InUse> all = certificates_in_use(snapshot);
    const std::lock_guard lock(mutex_);
    needed_before_.mark(all);
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

/// Whether it was told.
bool ExpiryWatch::Work::tell(const InUse& one, ExpiryMoment moment, WallTime now) try {
    Event event = event_of(one, moment, now);
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    const ExpiryBudget::Place place{one.upstream, one.upstream_addr};
    event.count = budget_.left_out(place, name_of(one));
    add_left_out(event);
    const std::string line = line_of(one, event.message);
    record_(std::move(event));
    budget_.note_told(place);
    spdlog::warn("{}", line);
    return true;
} catch (const std::exception& error) {
    spdlog::error("the end of a certificate could not be told: {}", error.what());
    return false;
}

/// Once for each number.
void ExpiryWatch::Work::count(const std::vector<InUse>& all, WallTime now, std::chrono::milliseconds warning) {
    std::map<std::string, NearEnds> counted = near_ends_of_others(all, now, warning);
    for (const auto& [which, ends] : counted) {
        const auto known = counted_.find(which);
        if (known == counted_.end() || known->second != ends) spdlog::info("{}", line_of(which, ends));
    }
    counted_ = std::move(counted);
}

/// What cannot be written now is tried again at the next look.
void ExpiryWatch::Work::keep(WallTime now) {
    if (warnings_.has_changed() && file_->write(warnings_.text(now))) warnings_.note_kept();
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
    if (thread_) thread_->end_within(end_patience);
}

}  // namespace proxy
