#include "proxy/server/login_counts.hpp"

#include <stdexcept>

namespace proxy {
namespace {

using Counts = std::map<std::string, unsigned, std::less<>>;

/// PostgreSQL's NAMEDATALEN - 1, to which it cuts the names of a StartupMessage (before 17): what
/// is written behind makes no other user.
constexpr std::size_t max_role_name = 63;

/// Servers have users and databases of the same names.
std::string key(const LoginRequest& request, std::string_view name) {
    std::string made = request.route.upstream->settings.name;
    made += '\0';
    return made.append(name.substr(0, max_role_name));
}

unsigned count_of(const Counts& counts, std::string_view name) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
}

void forget_unused(Counts& counts, Counts::iterator one) noexcept {
    if (one->second == 0) counts.erase(one);
}

void leave(Counts& counts, Counts::iterator one) noexcept {
    --one->second;
    forget_unused(counts, one);
}

}  // namespace

unsigned LoginCounts::of_listener(const LoginRequest& request) const {
    return count_of(listeners_, request.route.settings.name);
}

unsigned LoginCounts::of_user(const LoginRequest& request) const {
    return count_of(users_, key(request, request.user));
}

unsigned LoginCounts::of_database(const LoginRequest& request) const {
    return request.database.empty() ? 0 : count_of(databases_, key(request, request.database));
}

LoginCounts::Share LoginCounts::take(const LoginRequest& request) {
    const bool has_database = !request.database.empty();
    Share share{
        .listener = listeners_.end(), .user = users_.end(), .database = databases_.end(), .has_database = has_database};
    try {
        share.listener = listeners_.try_emplace(request.route.settings.name, 0).first;
        share.user = users_.try_emplace(key(request, request.user), 0).first;
        if (has_database) share.database = databases_.try_emplace(key(request, request.database), 0).first;
    } catch (const std::bad_alloc&) {
        if (share.listener != listeners_.end()) forget_unused(listeners_, share.listener);
        if (share.user != users_.end()) forget_unused(users_, share.user);
        throw;
    }
    ++share.listener->second;
    ++share.user->second;
    if (has_database) ++share.database->second;
    return share;
}

void LoginCounts::give_back(const Share& share) noexcept {
    leave(listeners_, share.listener);
    leave(users_, share.user);
    if (share.has_database) leave(databases_, share.database);
}

}  // namespace proxy
