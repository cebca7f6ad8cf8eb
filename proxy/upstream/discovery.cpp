#include "proxy/upstream/discovery.hpp"

#include <algorithm>

#include "config/discovery.hpp"
#include "protocol/server_name.hpp"

namespace proxy {
namespace {

bool has(std::span<const protocol::AuroraInstance> cluster, const std::string& id) {
    return std::any_of(cluster.begin(), cluster.end(), [&](const auto& one) { return one.id == id; });
}

}  // namespace

Discovery::Discovery(std::string domain, const std::vector<config::Address>& configured) : domain_(std::move(domain)) {
    for (const config::Address& host : configured) {
        const auto name = protocol::ServerName::parse(host.host);
        if (name) configured_.insert(name->text());
    }
}

/// A host that is no more than told of is not to tell of others.
bool Discovery::is_trusted(const Answer& answer) const {
    const auto found = found_.find(answer.host);
    return found == found_.end() || found->second.confirmed;
}

void Discovery::take(std::span<const Answer> answers, TimePoint now) {
    const auto may_tell = [&](const Answer& one) { return !one.instance.empty() && is_trusted(one); };
    const bool has_writer =
        std::any_of(answers.begin(), answers.end(), [&](const Answer& one) { return one.writer && may_tell(one); });
    for (const Answer& one : answers) {
        if (may_tell(one) && (one.writer || !has_writer)) hear(one, now);
    }
    // Time in which no server answers counts for nothing: it may be that we cannot log in.
    if (answers.empty()) {
        for (auto& [host, found] : found_) found.told += now - taken_;
    }
    taken_ = now;
    std::erase_if(found_, [now](const auto& one) { return now - one.second.told >= memory; });
    for (auto& [host, found] : found_) judge(found, answers);
}

void Discovery::hear(const Answer& teller, TimePoint now) {
    for (const protocol::AuroraInstance& one : teller.cluster) {
        const auto name = config::instance_name(one.id, domain_);
        if (!name || configured_.contains(*name)) continue;
        const config::Address host{
            .kind = config::Address::Kind::tcp, .host = *name, .port = teller.port, .origin = {}};
        const std::string key = config::to_string(host);
        const auto known = found_.find(key);
        if (known == found_.end() && found_.size() >= max_hosts) continue;
        Found& found = known == found_.end()
                           ? found_.emplace(key, Found{.host = host, .instance = one.id, .told_by = {}}).first->second
                           : known->second;
        found.told_by = teller.instance;
        found.told = now;
    }
}

/// By what is at its addresses, under whatever name that was asked: a server that does not answer
/// is no reason to think otherwise, one that says it is another is.
void Discovery::judge(Found& found, std::span<const Answer> answers) {
    bool is_another = false;
    for (const Answer& one : answers) {
        if (!found.addresses.contains(one.address)) continue;
        if (one.instance != found.instance) {
            is_another = true;
        } else if (has(one.cluster, found.told_by)) {
            found.confirmed = true;
        }
    }
    if (is_another) found.confirmed = false;
}

void Discovery::resolved(const std::string& host, std::set<std::string> addresses) {
    const auto found = found_.find(host);
    if (found != found_.end()) found->second.addresses = std::move(addresses);
}

void Discovery::refuse(const std::string& host) {
    const auto found = found_.find(host);
    if (found == found_.end()) return;
    found->second.addresses.clear();
    found->second.confirmed = false;
}

std::vector<config::Address> Discovery::known() const {
    std::vector<config::Address> all;
    for (const auto& [host, found] : found_) all.push_back(found.host);
    return all;
}

std::vector<config::Address> Discovery::confirmed() const {
    std::vector<config::Address> all;
    for (const auto& [host, found] : found_) {
        if (found.confirmed) all.push_back(found.host);
    }
    return all;
}

}  // namespace proxy
