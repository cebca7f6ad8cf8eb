// How many log in or have, by what limits count them by: listener, user, database.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "proxy/session/login_request.hpp"

namespace proxy {

/// Under a lock of its owner's. As large as what is held.
class LoginCounts {
    using Counts = std::map<std::string, unsigned, std::less<>>;

   public:
    /// What one login counts for, until it is given back.
    struct Share {
        Counts::iterator listener, user, database;
        bool has_database = false;
    };

    unsigned of_listener(const LoginRequest& request) const;
    unsigned of_user(const LoginRequest& request) const;
    unsigned of_database(const LoginRequest& request) const;

    /// All or nothing, without memory too.
    Share take(const LoginRequest& request);
    void give_back(const Share& share) noexcept;

   private:
    Counts listeners_;
    Counts users_;      // by upstream and name
    Counts databases_;  // by upstream and name
};

}  // namespace proxy
