// What a client is told when it is refused, as PostgreSQL would put it: what happened, and what to
// do about it.
#pragma once

#include <string>

#include "protocol/foreign.hpp"
#include "protocol/messages.hpp"
#include "proxy/observation/reason.hpp"

namespace config {
struct Listener;
}

namespace proxy {

struct LoginRequest;

/// Why a connection is refused: told to the client as an ErrorResponse and to the audit as a
/// reason.
struct Rejection {
    Reason reason = Reason::none;
    protocol::ErrorResponse response;
};

/// `usename`: whose login it was, if it had come so far.
Rejection rejection(protocol::Fault fault, const std::string& usename);
/// What a session that has been relayed is told at its end, as PostgreSQL tells it: of
/// idle_timeout, shutting_down or host_demoted.
protocol::ErrorResponse farewell(Reason reason);
/// For a reason whose sentence needs nothing beside it.
Rejection rejection(Reason reason);
Rejection address_not_allowed(const std::string& listener, const std::string& address);
Rejection proxy_not_trusted(const std::string& listener, const std::string& address);
/// `key`: of [runtime], the limit that is reached.
Rejection too_many_connections(const std::string& key);
/// The listener's own max_connections is reached.
Rejection listener_is_full(const config::Listener& listener);
/// `whose`: max_connections, of which so many are left.
Rejection rest_is_reserved(unsigned reserved, const std::string& whose);
/// max_user_connections and max_db_connections of its upstream.
Rejection user_is_full(const LoginRequest& request);
Rejection database_is_full(const LoginRequest& request);
/// login_rate_per_address
Rejection logins_too_fast(const config::Listener& listener);

/// For the log: what a refused client looks like, and what to do about it at this listener.
/// `address`: its own, empty for a UNIX-domain socket. `has_front`: a load balancer's header came
/// before.
std::string foreign_hint(protocol::Foreign looks_like, const config::Listener& listener, const std::string& address,
                         bool has_front);

}  // namespace proxy
