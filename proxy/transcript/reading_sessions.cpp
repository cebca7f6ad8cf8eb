// Reading: its sessions, from the first that is heard of them until they are handed over.
#include <algorithm>

#include "proxy/transcript/conclude.hpp"
#include "proxy/transcript/live_session.hpp"

namespace proxy::transcript {
namespace {

/// Beyond it, those that are left out are not counted any more.
constexpr std::size_t max_refused = 100'000;

std::size_t size_of(const protocol::CapturedEntry& entry) {
    std::size_t size = sizeof entry;
    const auto* statement = std::get_if<protocol::CapturedStatement>(&entry);
    if (!statement) return size;
    size += statement->text.capacity() + statement->name.capacity();
    for (const std::string& tag : statement->tags) size += sizeof tag + tag.capacity();
    if (statement->error)
        size += statement->error->message.size() + statement->error->detail.size() + statement->error->hint.size();
    return size;
}

}  // namespace

/// `ended`: it is asked for what stands behind the end of a connection.
Reading::LivePointer Reading::session_of(const SessionFacts& facts, const std::string& client, bool ended) {
    if (!facts.session.empty()) {
        if (const auto found = by_session_.find(of_capture(facts.session)); found != by_session_.end())
            return found->second;
    }
    const auto found = client.empty() ? by_client_.end() : by_client_.find(client);
    if (found == by_client_.end() || (found->second->closed && !ended)) return nullptr;
    const std::string& name = found->second->session.facts.session;
    return facts.session.empty() || name.empty() ? found->second : nullptr;
}

Reading::LivePointer Reading::begin_session(const Key& key, std::uint64_t time) {
    if (live_.size() >= limits_.sessions) {
        if (refused_.size() < max_refused && refused_.insert(key).second) lacks_.session_left_out();
        return nullptr;
    }
    auto live = std::make_shared<Live>();
    live->session.started = live->session.ended = time;
    live->number = ++begun_;
    live->capture = capture_;
    live_[live->number] = live;
    return live;
}

void Reading::know(const LivePointer& live, const std::string& client) {
    if (!client.empty()) {
        live->client = client;
        by_client_[client] = live;
    }
    if (!live->session.facts.session.empty()) by_session_[of_capture(live->session.facts.session)] = live;
}

void Reading::keep(Live& live, protocol::CapturedEntry&& entry) {
    if (!filter_.may_match(live.session.facts)) return;
    count(live.session.totals, entry);
    const std::size_t size = size_of(entry);
    if (live.kept + size > limits_.session_kept || kept_ + size > limits_.kept) {
        ++live.session.entries_left_out;
        return;
    }
    live.kept += size;
    kept_ += size;
    live.session.entries.push_back(std::move(entry));
}

void Reading::close(const LivePointer& live, std::uint64_t time) {
    live->closed = true;
    if (live->closing) return;
    live->closing = true;
    live->closing_since = time;
    closing_.push_back(live);
}

void Reading::finish(const LivePointer& given) {
    const LivePointer live = given;  // it may be in one of the lists that it leaves
    ReadSession& session = live->session;
    for (const Key& key : live->conversations) {
        const auto found = conversations_.find(key);
        if (found == conversations_.end() || found->second->live != live) continue;
        if (found->second->transcript) take_transcript(session, *found->second->transcript);
        conversations_.erase(found);
    }
    const auto forget = [&](auto& map, const std::string& name) {
        const auto found = map.find(name);
        if (found != map.end() && found->second == live) map.erase(found);
    };
    const std::string& name = session.facts.session;
    forget(by_session_, live->capture == 0 ? name : name + "\n" + std::to_string(live->capture));
    forget(by_client_, live->client);
    live_.erase(live->number);
    std::erase(closing_, live);
    kept_ -= live->kept;
    conclude(session);
    // Another capture may have all of it.
    if (session.absent() && live->conversations.empty() && !name.empty() && absent_.size() < limits_.sessions) {
        told_.remember(name);
        absent_.push_back(std::move(*live));
        return;
    }
    hand_over(*live);
}

void Reading::hand_over(Live& live) {
    ReadSession& session = live.session;
    const std::string& name = session.facts.session;
    if (!told_.tell(name, live.capture)) {
        lacks_.session_repeated();
        if (session.absent()) lacks_.told_elsewhere(live.capture, session.facts);
        return;
    }
    if (told_.is_full()) lacks_.too_many_to_repeat();
    if (!filter_.matches(session)) {
        ++left_aside_;
        if (filter_.lacks_names(session)) lacks_.nameless_failure();
        return;
    }
    ++handed_over_;
    lacks_.session(session);
    sink_(std::move(session));
}

void Reading::quiet() {
    while (!closing_.empty()) finish(closing_.front());
}

void Reading::end() {
    quiet();
    while (!live_.empty()) finish(live_.begin()->second);
    now_ = 0;
}

void Reading::end_of_all() {
    for (Live& live : absent_) hand_over(live);
    absent_.clear();
}

}  // namespace proxy::transcript
