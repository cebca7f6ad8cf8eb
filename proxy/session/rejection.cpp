#include "proxy/session/rejection.hpp"

#include "protocol/scram.hpp"
#include "protocol/utf8.hpp"
#include "proxy/observation/client_identity.hpp"
#include "proxy/session/login_request.hpp"

namespace proxy {
namespace {

struct Advice {
    std::string detail;
    std::string hint;
};

Advice advice(Reason reason) {
    switch (reason) {
        case Reason::tls_required: return {{}, "Set sslmode=require or stronger in the client."};
        case Reason::channel_binding_hidden:
            return {
                "The client supports SCRAM channel binding and says so, but channel binding cannot cross a proxy that "
                "ends TLS; the server "
                "would refuse this login as downgraded.",
                "Set channel_binding=disable in the client, connect in clear over loopback, or set scram = \"auto\" in "
                "pgairlock's [auth]."};
        case Reason::channel_binding_downgrade:
            return {
                "The client supports SCRAM channel binding but thinks the server does not.  However, this server does "
                "support channel "
                "binding.",
                {}};
        case Reason::channel_binding_failed:
            return {"The client has bound its login to another certificate than the one that pgairlock showed.", {}};
        case Reason::password_in_clear:
            return {
                "SCRAM with channel binding cannot cross a proxy that ends TLS, so pgairlock would log in with the "
                "password itself; but "
                "this connection is neither encrypted nor local.",
                "Set sslmode=require in the client, connect over loopback or a UNIX-domain socket, set "
                "channel_binding=disable in the "
                "client, or set scram = \"terminate\" in pgairlock's [auth]."};
        case Reason::scram_iterations:
            return {"The limit is " + std::to_string(protocol::max_scram_iterations) + ".",
                    "Set the password anew with fewer scram_iterations, or set channel_binding=disable in the client."};
        case Reason::scram_secret:
            return {"Salt or iteration count differ: a SCRAM secret serves only where it was copied from.",
                    "Copy rolpassword from the server's pg_authid, or write the password itself into users_file."};
        case Reason::address_not_allowed:
            return {{}, "Add the address to listener.allow in pgairlock's configuration."};
        case Reason::proxy_not_trusted:
            return {"This listener takes connections only through those load balancers.",
                    "Connect to the load balancer, or add its address to listener.trusted_proxies in pgairlock's "
                    "configuration."};
        case Reason::shutting_down: return {{}, "Connect again: another instance or the next one will answer."};
        case Reason::failed: return {{}, "Its log says why."};
        case Reason::login_timeout: return {"The login did not reach ReadyForQuery within client_login_timeout.", {}};
        case Reason::opening_timeout: return {"The client did not go on within client_opening_timeout.", {}};
        default: return {};
    }
}

std::string named(const config::Listener& listener) { return "listener \"" + listener.name + "\""; }

struct Limit {
    std::string key;
    unsigned value = 0;
};

/// A role or a database, in PostgreSQL's words.
Rejection too_many_for(Reason reason, std::string_view name, const Limit& limit, const ListenerRoute& route) {
    const std::string upstream = route.upstream->settings.name;
    Rejection told = rejection(reason);
    told.response.message += " \"" + protocol::printable(protocol::as_utf8(name, max_name)) + "\"";
    told.response.detail = limit.key + " of upstream \"" + upstream + "\", to which " + named(route.settings) +
                           " leads, is reached: " + std::to_string(limit.value) + ".";
    told.response.hint = "Raise upstream." + upstream + "." + limit.key + ".";
    return told;
}

}  // namespace

Rejection rejection(Reason reason) {
    Advice more = advice(reason);
    return {.reason = reason,
            .response = {.severity = "FATAL",
                         .sqlstate = std::string(sqlstate(reason)),
                         .message = std::string(sentence(reason)),
                         .detail = std::move(more.detail),
                         .hint = std::move(more.hint)}};
}

protocol::ErrorResponse farewell(Reason reason) {
    const bool idle = reason == Reason::idle_timeout;
    return {.severity = "FATAL",
            .sqlstate = idle ? std::string(sqlstate(reason)) : "57P01",
            .message = std::string("terminating connection due to ") +
                       (idle ? "idle-session timeout" : "administrator command"),
            .detail = std::string(sentence(reason)) + ".",
            .hint = {}};
}

Rejection rejection(protocol::Fault fault, const std::string& usename) {
    Rejection told = rejection(reason(fault));
    if (told.reason == Reason::password_failed) told.response.message += " for user \"" + usename + "\"";
    return told;
}

Rejection address_not_allowed(const std::string& listener, const std::string& address) {
    Rejection told = rejection(Reason::address_not_allowed);
    told.response.message += " of listener \"" + listener + "\" for host \"" + address + "\"";
    return told;
}

Rejection proxy_not_trusted(const std::string& listener, const std::string& address) {
    Rejection told = rejection(Reason::proxy_not_trusted);
    told.response.message += " of listener \"" + listener + "\" for host \"" + address + "\"";
    return told;
}

Rejection too_many_connections(const std::string& key) {
    Rejection told = rejection(Reason::too_many_connections);
    told.response.detail = "pgairlock's " + key + " is reached.";
    told.response.hint = "Raise runtime." + key + ".";
    return told;
}

Rejection listener_is_full(const config::Listener& listener) {
    Rejection told = rejection(Reason::too_many_connections);
    told.response.detail =
        "max_connections of " + named(listener) + " is reached: " + std::to_string(listener.max_connections) + ".";
    told.response.hint = "Raise max_connections of " + named(listener) + ".";
    return told;
}

Rejection rest_is_reserved(unsigned reserved, const std::string& whose) {
    Rejection told = rejection(Reason::reserved_connections);
    told.response.detail =
        "The last " + std::to_string(reserved) + " of " + whose + " max_connections are left for reserved_users.";
    told.response.hint = "Raise max_connections, or lower runtime.reserved_connections.";
    return told;
}

Rejection user_is_full(const LoginRequest& request) {
    const config::Upstream& upstream = request.route.upstream->settings;
    return too_many_for(Reason::too_many_user_connections, request.user,
                        {.key = "max_user_connections", .value = upstream.max_user_connections}, request.route);
}

Rejection database_is_full(const LoginRequest& request) {
    const config::Upstream& upstream = request.route.upstream->settings;
    return too_many_for(Reason::too_many_db_connections, request.database,
                        {.key = "max_db_connections", .value = upstream.max_db_connections}, request.route);
}

Rejection logins_too_fast(const config::Listener& listener) {
    Rejection told = rejection(Reason::login_rate);
    told.response.detail = "login_rate_per_address of " + named(listener) + " is " +
                           std::to_string(listener.login_rate_per_address) + " a second.";
    told.response.hint =
        "Connect more slowly and keep connections, or raise login_rate_per_address of " + named(listener) + ".";
    return told;
}

/// Where headers are required already, the general hint would send people in a circle.
std::string foreign_hint(protocol::Foreign looks_like, const config::Listener& listener, const std::string& address,
                         bool has_front) {
    if (looks_like != protocol::Foreign::proxy_protocol || listener.proxy_protocol != config::ProxyProtocol::require)
        return std::string(protocol::hint(looks_like));
    if (address.empty()) return "this looks like a PROXY protocol header, and none is read on a UNIX-domain socket";
    if (has_front)
        return "this looks like a second PROXY protocol header, behind that of the load balancer: only one is read; "
               "let the client, or the load balancer in front of it, send none";
    return address + " sends a PROXY protocol header and is not in trusted_proxies: add it if it is your load balancer";
}

}  // namespace proxy
