#include "proxy/session/refusal.hpp"

#include "protocol/scram.hpp"

namespace proxy {
namespace {

using protocol::Fault;

struct Advice {
    std::string detail;
    std::string hint;
};

Advice advice(Fault fault) {
    switch (fault) {
        case Fault::tls_required: return {{}, "Set sslmode=require or stronger in the client."};
        case Fault::channel_binding_hidden:
            return {
                "The client supports SCRAM channel binding and says so, but channel binding cannot cross a proxy that "
                "ends TLS; the server "
                "would refuse this login as downgraded.",
                "Set channel_binding=disable in the client, connect in clear over loopback, or set scram = \"auto\" in "
                "pgairlock's [auth]."};
        case Fault::channel_binding_downgrade:
            return {
                "The client supports SCRAM channel binding but thinks the server does not.  However, this server does "
                "support channel "
                "binding.",
                {}};
        case Fault::channel_binding_failed:
            return {"The client has bound its login to another certificate than the one that pgairlock showed.", {}};
        case Fault::password_in_clear:
            return {
                "SCRAM with channel binding cannot cross a proxy that ends TLS, so pgairlock would log in with the "
                "password itself; but "
                "this connection is neither encrypted nor local.",
                "Set sslmode=require in the client, connect over loopback or a UNIX-domain socket, set "
                "channel_binding=disable in the "
                "client, or set scram = \"terminate\" in pgairlock's [auth]."};
        case Fault::scram_iterations:
            return {"The limit is " + std::to_string(protocol::max_scram_iterations) + ".",
                    "Set the password anew with fewer scram_iterations, or set channel_binding=disable in the client."};
        case Fault::scram_secret:
            return {"Salt or iteration count differ: a SCRAM secret serves only where it was copied from.",
                    "Copy rolpassword from the server's pg_authid, or write the password itself into users_file."};
        default: return {};
    }
}

}  // namespace

Refusal refusal(Fault fault, const std::string& usename) {
    Advice more = advice(fault);
    std::string message(protocol::message(fault));
    if (fault == Fault::password_failed) message += " for user \"" + usename + "\"";
    return {.reason = std::string(protocol::label(fault)),
            .response = {.severity = "FATAL",
                         .sqlstate = std::string(protocol::sqlstate(fault)),
                         .message = std::move(message),
                         .detail = std::move(more.detail),
                         .hint = std::move(more.hint)}};
}

Refusal shutting_down() {
    return {.reason = "shutting_down",
            .response = {.severity = "FATAL",
                         .sqlstate = "57P01",
                         .message = "pgairlock is shutting down",
                         .detail = {},
                         .hint = "Connect again: another instance or the next one will answer."}};
}

/// As PostgreSQL's authentication_timeout.
Refusal login_timeout() {
    return {.reason = "login_timeout",
            .response = {.severity = "FATAL",
                         .sqlstate = "57014",
                         .message = "canceling authentication due to timeout",
                         .detail = "The login did not reach ReadyForQuery within client_login_timeout.",
                         .hint = {}}};
}

}  // namespace proxy
