// How many log in or have, by what limits count them by: listener, user, database.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/session/login_request.hpp"

namespace proxy {

/// Under a lock of its owner's. As large as what is held.
class LoginCounts {
   public:
    /// By the name of what is limited, behind what it is.
    using Counts = std::map<std::string, unsigned, std::less<>>;

    /// What one login counts for, until it is given back.
    struct Share {
        Counts::iterator listener, user, database;
        bool has_database = false;
    };

    unsigned of_listener(const LoginRequest& request) const;
    unsigned of_user(const LoginRequest& request) const;
    unsigned of_database(const LoginRequest& request) const;

    /// Another process has these, whose place this one took: limits are for both.
    void elsewhere(std::map<std::string, unsigned> counts) { elsewhere_ = std::move(counts); }
    /// The same of this process, for whoever takes its place.
    std::map<std::string, unsigned> all() const { return {counts_.begin(), counts_.end()}; }

    /// All or nothing, without memory too.
    Share take(const LoginRequest& request);
    void give_back(const Share& share) noexcept;

   private:
    unsigned count_of(const std::string& key) const;

    Counts counts_;
    std::map<std::string, unsigned> elsewhere_;
};

}  // namespace proxy
