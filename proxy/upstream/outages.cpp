#include "proxy/upstream/outages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace proxy {

void Outages::failed(Failure failure, TimePoint now) {
    // One that is slow has not ended.
    const std::string ended = failure.patience == std::chrono::microseconds::max() ? failure.key : std::string();
    remember(std::move(failure), now);
    if (!ended.empty() && failed_) failed_(ended);
}

void Outages::remember(Failure failure, TimePoint now) {
    const std::lock_guard lock(mutex_);
    refused_.erase({failure.upstream, failure.key});
    const auto known = remembered_.find(failure.key);
    const bool told = known != remembered_.end();
    const auto since = told ? known->second.since : std::chrono::system_clock::now();
    if (!told) {
        spdlog::warn("upstream \"{}\": {} does not serve: {}; it is tried last {}", failure.upstream, failure.key,
                     failure.error,
                     failure.seen == Seen::connecting ? "until it answers again"
                                                      : "for " + std::to_string(memory.count()) + " s");
    }
    std::set<std::string> upstreams = told ? known->second.upstreams : std::set<std::string>();
    upstreams.insert(failure.upstream);
    remembered_.insert_or_assign(std::move(failure.key), Remembered{.upstream = std::move(failure.upstream),
                                                                    .upstreams = std::move(upstreams),
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
    std::set<std::string> upstreams{upstream};
    {
        const std::lock_guard lock(mutex_);
        const bool was_refused = refused_.erase({upstream, key}) > 0;
        const auto known = remembered_.find(key);
        const bool was_silent = known != remembered_.end();
        if (!was_refused && !was_silent) return;
        if (was_silent) {
            upstreams.merge(known->second.upstreams);
            remembered_.erase(known);
        }
    }
    spdlog::info("upstream \"{}\": {} serves again", upstream, key);
    tell_recovered(upstreams);
}

/// Who was refused tells the log of it, in more words than we have.
void Outages::refused(Refusal refusal) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::system_clock::now();
    std::pair<std::string, std::string> where{refusal.upstream, refusal.key};
    const auto known = refused_.find(where);
    const auto since = known == refused_.end() ? now : known->second.since;
    refused_.insert_or_assign(std::move(where), Refused{.what = std::move(refusal), .since = since, .last = now});
    if (refused_.size() <= max_remembered) return;
    const auto earlier = [](const auto& a, const auto& b) { return a.second.last < b.second.last; };
    refused_.erase(std::min_element(refused_.begin(), refused_.end(), earlier));
}

void Outages::accepted(const std::string& key, const std::string& upstream) {
    const std::lock_guard lock(mutex_);
    if (refused_.erase({upstream, key}) > 0) spdlog::info("upstream \"{}\": {} is accepted again", upstream, key);
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
    for (const auto& [key, one] : remembered_) {
        // It was reached since.
        if (refused_.contains({one.upstream, key})) continue;
        outages.push_back(
            {.key = key, .upstream = one.upstream, .host = one.host, .error = one.error, .since = one.since});
    }
    for (const auto& [where, one] : refused_) {
        outages.push_back({.key = one.what.key,
                           .upstream = one.what.upstream,
                           .host = one.what.host,
                           .error = one.what.error,
                           .since = one.since,
                           .verify_error = one.what.verify_error,
                           .leaf = one.what.leaf});
    }
    return outages;
}

std::optional<Outages::Outage> Outages::unreached(const std::string& key, const std::string& upstream) const {
    const std::lock_guard lock(mutex_);
    const auto known = remembered_.find(key);
    if (known == remembered_.end() || refused_.contains({upstream, key})) return std::nullopt;
    const Remembered& one = known->second;
    return Outage{.key = key, .upstream = upstream, .host = one.host, .error = one.error, .since = one.since};
}

void Outages::answered(const std::string& key, std::chrono::microseconds took) {
    std::string upstream;
    std::set<std::string> upstreams;
    {
        const std::lock_guard lock(mutex_);
        const auto known = remembered_.find(key);
        // A login may have met something else meanwhile.
        if (known == remembered_.end() || known->second.seen != Seen::connecting) return;
        if (took > known->second.patience) return;
        upstream = std::move(known->second.upstream);
        upstreams = std::move(known->second.upstreams);
        remembered_.erase(known);
    }
    spdlog::info("upstream \"{}\": {} serves again", upstream, key);
    tell_recovered(upstreams);
}

void Outages::tell_recovered(const std::set<std::string>& upstreams) const {
    if (!recovered_) return;
    for (const std::string& upstream : upstreams) recovered_(upstream);
}

void Outages::forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    remembered_.erase(key);
    std::erase_if(refused_, [&](const auto& one) { return one.second.what.key == key; });
}

}  // namespace proxy
