#include "proxy/server/several_primaries.hpp"

namespace proxy {

std::vector<std::string> SeveralPrimaries::look(
    const std::vector<std::pair<HostRoles::Server, HostRoles::Known>>& known, const std::set<std::string>& upstreams) {
    std::map<std::string, Primaries> found;
    for (const auto& [server, role] : known) {
        if (role.role == protocol::HostRole::primary && !role.doubtful && upstreams.count(server.upstream) != 0)
            found[server.upstream].emplace(server.address, server.host);
    }
    std::map<std::string, Seen> seen;
    std::vector<std::string> lines;
    for (const auto& [upstream, primaries] : found) {
        std::set<std::string> hosts;
        std::string names;
        for (const auto& [address, host] : primaries) {
            hosts.insert(host);
            names += (names.empty() ? "" : ", ") + host + (host == address ? "" : " (" + address + ")");
        }
        if (hosts.size() < 2) continue;
        const auto before = seen_.find(upstream);
        const bool lasts = before != seen_.end() && before->second.primaries == primaries;
        if (lasts && !before->second.told)
            lines.push_back("upstream \"" + upstream + "\" has " + std::to_string(hosts.size()) +
                            " primaries: " + names +
                            ": clients write to each of them. Stop the one that a failover has left behind, unless "
                            "these are names of one server");
        seen[upstream] = {.primaries = primaries, .told = lasts};
    }
    seen_ = std::move(seen);
    return lines;
}

}  // namespace proxy
