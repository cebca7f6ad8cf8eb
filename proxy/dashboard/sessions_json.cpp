#include "proxy/dashboard/sessions_json.hpp"

#include <algorithm>
#include <charconv>

namespace proxy::dashboard {
namespace {

namespace json = boost::json;
using Text = SessionText;

/// As pg_stat_activity has it, and the console.
std::string_view state_of(const LiveSession& session) {
    switch (session.figures.status.load(std::memory_order_relaxed)) {
        case 'I': return "idle";
        case 'T': return "idle in transaction";
        case 'E': return "idle in transaction (aborted)";
        default: return "active";
    }
}

json::array pieces(std::string_view list) {
    json::array all;
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        all.emplace_back(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return all;
}

json::object object_of(const LiveSession& session) {
    const SessionFacts& facts = session.facts;
    const auto known = [&](Text which) { return text(facts.text(which)); };
    const auto bytes = [](const std::atomic<std::uint64_t>& count) { return count.load(std::memory_order_relaxed); };
    return {{"session", known(Text::session)},
            {"pid", facts.pid},
            {"listener", known(Text::listener)},
            {"upstream", known(Text::upstream)},
            {"client_addr", known(Text::client_addr)},
            {"client_port", facts.client_port},
            {"usename", name(facts.text(Text::usename))},
            {"datname", name(facts.text(Text::datname))},
            {"application_name", name(facts.text(Text::application_name))},
            {"ssl", facts.ssl},
            {"version", known(Text::version)},
            {"cipher", known(Text::cipher)},
            {"negotiation", known(Text::negotiation)},
            {"sslmode_min", known(Text::sslmode_min)},
            {"sslmode_max", known(Text::sslmode_max)},
            {"verifies", known(Text::verifies)},
            {"weak", facts.weak},
            {"evidence", pieces(facts.text(Text::evidence))},
            {"auth_method", known(Text::auth_method)},
            {"upstream_addr", known(Text::upstream_addr)},
            {"upstream_ssl", facts.upstream_ssl},
            {"upstream_version", known(Text::upstream_version)},
            {"backend_start", time(facts.logged_in)},
            {"state", state_of(session)},
            {"bytes_from_client", bytes(session.figures.from_client)},
            {"bytes_from_server", bytes(session.figures.from_server)}};
}

}  // namespace

SessionsJson::SessionsJson(std::vector<std::shared_ptr<const LiveSession>> sessions, SystemTime now, std::size_t most)
    : sessions_(std::move(sessions)) {
    const std::size_t total = sessions_.size();
    if (total > most) {
        std::stable_partition(sessions_.begin(), sessions_.end(), [](const auto& one) { return one->facts.weak; });
        sessions_.resize(most);
    }
    text_ = "{\"generated\":" + json::serialize(time(now)) + ",\"total\":" + std::to_string(total) +
            ",\"left_out\":" + std::to_string(total - sessions_.size()) + ",\"sessions\":[";
}

bool SessionsJson::write_some() {
    for (std::size_t i = 0; i < part && written_ < sessions_.size(); ++i, ++written_) {
        if (written_ > 0) text_ += ",\n";
        text_ += serialized(object_of(*sessions_[written_]));
    }
    return written_ < sessions_.size();
}

Shared SessionsJson::finish() { return std::make_shared<const std::string>(std::move(text_) + "]}"); }

std::optional<std::size_t> wanted_sessions(std::string_view query) {
    constexpr std::string_view name = "most=";
    std::size_t most = SessionsJson::max_sessions;
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(one.size() + 1, query.size()));
        if (!one.starts_with(name)) continue;
        const auto [end, error] = std::from_chars(one.data() + name.size(), one.data() + one.size(), most);
        const bool is_number = error == std::errc() && end == one.data() + one.size();
        if (!is_number || most == 0 || most > SessionsJson::max_sessions) return std::nullopt;
    }
    return most;
}

}  // namespace proxy::dashboard
