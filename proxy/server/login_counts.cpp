#include "proxy/server/login_counts.hpp"

#include <stdexcept>

namespace proxy {
namespace {

using Counts = LoginCounts::Counts;

/// PostgreSQL's NAMEDATALEN - 1, to which it cuts the names of a StartupMessage (before 17): what
/// is written behind makes no other user.
constexpr std::size_t max_role_name = 63;

std::string listener_key(const LoginRequest& request) { return "listener " + request.route.settings.name; }

/// Servers have users and databases of the same names.
std::string key(std::string_view what, const LoginRequest& request, std::string_view name) {
    std::string made = std::string(what) + request.route.upstream->settings.name;
    made += '\0';
    return made.append(name.substr(0, max_role_name));
}

std::string user_key(const LoginRequest& request) { return key("user ", request, request.user); }
std::string database_key(const LoginRequest& request) { return key("database ", request, request.database); }

void forget_unused(Counts& counts, Counts::iterator one) noexcept {
    if (one->second == 0) counts.erase(one);
}

void leave(Counts& counts, Counts::iterator one) noexcept {
    --one->second;
    forget_unused(counts, one);
}

}  // namespace

unsigned LoginCounts::count_of(const std::string& key) const {
    const auto here = counts_.find(key);
    const auto there = elsewhere_.find(key);
    return (here == counts_.end() ? 0 : here->second) + (there == elsewhere_.end() ? 0 : there->second);
}

unsigned LoginCounts::of_listener(const LoginRequest& request) const { return count_of(listener_key(request)); }

unsigned LoginCounts::of_user(const LoginRequest& request) const { return count_of(user_key(request)); }

unsigned LoginCounts::of_database(const LoginRequest& request) const {
    return request.database.empty() ? 0 : count_of(database_key(request));
}

LoginCounts::Share LoginCounts::take(const LoginRequest& request) {
    const bool has_database = !request.database.empty();
    Share share{
        .listener = counts_.end(), .user = counts_.end(), .database = counts_.end(), .has_database = has_database};
    try {
        share.listener = counts_.try_emplace(listener_key(request), 0).first;
        share.user = counts_.try_emplace(user_key(request), 0).first;
        if (has_database) share.database = counts_.try_emplace(database_key(request), 0).first;
    } catch (const std::bad_alloc&) {
        if (share.listener != counts_.end()) forget_unused(counts_, share.listener);
        if (share.user != counts_.end()) forget_unused(counts_, share.user);
        throw;
    }
    ++share.listener->second;
    ++share.user->second;
    if (has_database) ++share.database->second;
    return share;
}

void LoginCounts::give_back(const Share& share) noexcept {
    leave(counts_, share.listener);
    leave(counts_, share.user);
    if (share.has_database) leave(counts_, share.database);
}

}  // namespace proxy
