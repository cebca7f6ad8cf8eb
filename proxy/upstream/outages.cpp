#include "proxy/upstream/outages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace proxy {

void Outages::failed(Failure failure, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto known = remembered_.find(failure.key);
    const bool told = known != remembered_.end();
    const auto since = told ? known->second.since : std::chrono::system_clock::now();
    if (!told) {
        spdlog::warn("upstream \"{}\": {} does not serve: {}; it is tried last {}", failure.upstream, failure.key,
                     failure.error,
                     failure.seen == Seen::connecting ? "until it answers again"
                                                      : "for " + std::to_string(memory.count()) + " s");
    }
    remembered_.insert_or_assign(std::move(failure.key), Remembered{.upstream = std::move(failure.upstream),
                                                                    .host = std::move(failure.host),
                                                                    .error = std::move(failure.error),
                                                                    .since = since,
                                                                    .seen = failure.seen,
                                                                    .patience = failure.patience,
                                                                    .until = now + memory});
    if (remembered_.size() <= max_remembered) return;
    const auto earlier = [](const auto& a, const auto& b) { return a.second.until < b.second.until; };
    remembered_.erase(std::min_element(remembered_.begin(), remembered_.end(), earlier));
}

void Outages::served(const std::string& key, const std::string& upstream) {
    const std::lock_guard lock(mutex_);
    if (remembered_.erase(key) > 0) spdlog::info("upstream \"{}\": {} serves again", upstream, key);
}

bool Outages::tried_last(const std::string& key, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto known = remembered_.find(key);
    if (known == remembered_.end()) return false;
    if (known->second.seen == Seen::connecting || now < known->second.until) return true;
    known->second.until = now + trial;
    return false;
}

std::vector<Outages::Outage> Outages::to_look_at() const {
    std::vector<Outage> outages;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, one] : remembered_) {
        if (one.seen == Seen::connecting) outages.push_back({.key = key, .upstream = one.upstream, .host = one.host});
    }
    return outages;
}

std::vector<Outages::Outage> Outages::all() const {
    std::vector<Outage> outages;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, one] : remembered_)
        outages.push_back(
            {.key = key, .upstream = one.upstream, .host = one.host, .error = one.error, .since = one.since});
    return outages;
}

void Outages::answered(const std::string& key, std::chrono::microseconds took) {
    const std::lock_guard lock(mutex_);
    const auto known = remembered_.find(key);
    // A login may have met something else meanwhile.
    if (known == remembered_.end() || known->second.seen != Seen::connecting) return;
    if (took > known->second.patience) return;
    spdlog::info("upstream \"{}\": {} serves again", known->second.upstream, key);
    remembered_.erase(known);
}

void Outages::forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    remembered_.erase(key);
}

}  // namespace proxy
