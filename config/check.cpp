#include "config/check.hpp"

#include <algorithm>
#include <map>
#include <regex>

#include "config/keys.hpp"
#include "config/spelling.hpp"

namespace config {

using protocol::SslMode;

namespace {

struct Pair {
    std::string_view certificate;
    std::string_view key;
};

void check_pair(const Node& table, Pair pair, Reading& reading);
void check_client_cert(const Node& table, const ListenerTls& tls, Reading& reading);
void check_versions(const Node& table, TlsVersion min, TlsVersion max, Reading& reading);
void check_sslmode(const Node& table, const Upstream& upstream, Reading& reading);
void check_server_name(const Node& table, const Upstream& upstream, Reading& reading);
void warn_about_sslmode(const Node& table, SslMode sslmode, Reading& reading);
std::string setting(std::string_view key, std::string_view value);

}  // namespace

void check(const Node& table, const ListenerTls& tls, Reading& reading) {
    check_pair(table, {"cert_file", "key_file"}, reading);
    check_client_cert(table, tls, reading);
    check_versions(table, tls.ssl_min_protocol_version, tls.ssl_max_protocol_version, reading);
    if (tls.ssl_min_protocol_version < TlsVersion::v1_2 && !tls.legacy) {
        reading.error(table.where("ssl_min_protocol_version"), in_quotes(to_string(tls.ssl_min_protocol_version)) +
                                                                   " needs legacy = true: TLS below 1.2 is broken");
    }
    if (tls.mode == ClientTlsMode::disable && table.children.size() > 1) {
        reading.warn(table.where("mode"), R"("disable" leaves the rest of [listener.tls] without effect)");
    }
}

void check(const Node& table, const Certificate&, Reading& reading) {
    for (const std::string_view key : {"cert_file", "key_file"}) {
        if (!table.gives(key)) reading.error(table.where(key), "is required in [[listener.tls.certificate]]");
    }
}

void check(const Node& table, const Upstream& upstream, Reading& reading) {
    if (table.find("hosts") == nullptr) {
        reading.error(table.where("hosts"),
                      R"(is required: where the server is, such as hosts = ["db.example.com:5432"])");
    }
    check_sslmode(table, upstream, reading);
    check_server_name(table, upstream, reading);
    check_pair(table, {"sslcert", "sslkey"}, reading);
    check_versions(table, upstream.ssl_min_protocol_version, upstream.ssl_max_protocol_version, reading);
    if (upstream.ssl_min_protocol_version < TlsVersion::v1_2) {
        reading.warn(table.where("ssl_min_protocol_version"), in_quotes(to_string(upstream.ssl_min_protocol_version)) +
                                                                  " lets a server use TLS below 1.2, which is broken");
    }
}

void check(const Node& table, const Auth& auth, Reading& reading) {
    const bool terminates = auth.scram == protocol::ScramMode::terminate;
    if (terminates && !table.gives("users_file")) {
        reading.error(table.where("scram"),
                      R"("terminate" needs users_file: who the users are, in the format of PgBouncer's userlist.txt)");
    }
    if (!terminates && table.gives("users_file"))
        reading.warn(table.where("users_file"), R"(has no effect without scram = "terminate")");
}

void check(const Node& table, const Audit& audit, Reading& reading) {
    try {
        const std::regex pattern(audit.application_name_pattern);
    } catch (const std::regex_error& error) {
        reading.error(table.where("application_name_pattern"),
                      in_quotes(audit.application_name_pattern) + " is no regular expression: " + error.what());
    }
}

void check(const Node& table, const Probe& probe, bool keeps_inventory, Reading& reading) {
    check_pair(table, {"candidate_cert_file", "candidate_key_file"}, reading);
    const bool wants_candidate =
        std::find(probe.kinds.begin(), probe.kinds.end(), ProbeKind::candidate) != probe.kinds.end();
    if (probe.enabled && table.find("kinds") && wants_candidate && !table.gives("candidate_cert_file")) {
        reading.error(table.where("kinds"),
                      R"("candidate" needs candidate_cert_file: the certificate that clients will meet)");
    }
    if (probe.enabled && !keeps_inventory)
        reading.error(table.where("enabled"), "needs audit.inventory: what was done to whom must outlive restarts");
    if (probe.enabled && probe.kinds.empty())
        reading.error(table.where("kinds"), "nothing to probe with: one of " + join(names<ProbeKind>()));
}

void check_distinct(const std::vector<Listener>& listeners, Reading& reading) {
    std::map<std::string, Origin> names, addresses;
    for (const Listener& listener : listeners) {
        Origin name_origin = listener.origin;
        name_origin.key += ".name";
        if (!names.emplace(listener.name, name_origin).second) {
            reading.error(name_origin,
                          in_quotes(listener.name) + " is the name of an earlier listener; names must differ");
        }
        for (const Address& address : listener.listen) {
            // The kernel chooses another port for each 0.
            if (address.kind == Address::Kind::tcp && address.port == 0) continue;
            const auto [earlier, is_new] = addresses.emplace(to_string(address), address.origin);
            if (is_new) continue;
            reading.error(address.origin, in_quotes(to_string(address)) + " is listened on already, by line " +
                                              std::to_string(earlier->second.line));
        }
    }
}

namespace {

void check_pair(const Node& table, Pair pair, Reading& reading) {
    if (table.gives(pair.certificate) == table.gives(pair.key)) return;
    const auto [given, missing] =
        table.gives(pair.certificate) ? std::pair{pair.certificate, pair.key} : std::pair{pair.key, pair.certificate};
    reading.error(table.where(given), "needs " + std::string{missing} + " beside it");
}

void check_client_cert(const Node& table, const ListenerTls& tls, Reading& reading) {
    const bool is_asked_for = tls.client_cert != ClientCert::disable;
    if (is_asked_for && !table.gives("ca_file")) {
        reading.error(table.where("client_cert"),
                      "needs ca_file: the CA certificates that client certificates are verified against");
    }
    if (!is_asked_for && table.gives("ca_file")) {
        reading.warn(table.where("ca_file"), R"(has no effect without client_cert = "request" or "require")");
    }
    if (tls.client_cert == ClientCert::require && tls.mode == ClientTlsMode::allow) {
        reading.warn(table.where("client_cert"),
                     R"("require" asks nothing of plain connections; mode = "require" refuses those)");
    }
}

void check_versions(const Node& table, TlsVersion min, TlsVersion max, Reading& reading) {
    if (max == TlsVersion::unset || min <= max) return;
    // Either may be the default; the one that was written is the one to change.
    const auto* const written =
        table.find("ssl_max_protocol_version") ? "ssl_max_protocol_version" : "ssl_min_protocol_version";
    reading.error(table.where(written), setting("ssl_max_protocol_version", to_string(max)) + " is lower than " +
                                            setting("ssl_min_protocol_version", to_string(min)));
}

/// libpq's rules (fe-connect.c, pqConnectOptions2) and its words.
void check_sslmode(const Node& table, const Upstream& upstream, Reading& reading) {
    const std::string sslmode = in_quotes(to_string(upstream.sslmode));
    const auto system = std::find_if(upstream.sslrootcert.begin(), upstream.sslrootcert.end(),
                                     [](const File& file) { return file.path == "system"; });
    if (system != upstream.sslrootcert.end() && upstream.sslmode != SslMode::verify_full) {
        reading.error(table.where("sslmode"),
                      "weak sslmode " + sslmode + R"( may not be used with sslrootcert=system (use "verify-full"))");
    }
    if (upstream.sslmode == SslMode::verify_ca && !table.gives("sslrootcert")) {
        reading.error(table.where("sslmode"),
                      sslmode + " needs sslrootcert: the CA certificates that the server is verified against");
    }
    if (upstream.sslnegotiation == SslNegotiation::direct && upstream.sslmode < SslMode::require) {
        reading.error(table.where("sslmode"),
                      "weak sslmode " + sslmode +
                          R"( may not be used with sslnegotiation=direct (use "require", "verify-ca", or )"
                          R"("verify-full"))");
    }
    if (upstream.prewarm > 0 && upstream.sslmode < SslMode::require) {
        reading.error(table.where("prewarm"), "keeps TLS connections ready, which sslmode " + sslmode +
                                                  R"( does not insist on (use "verify-full"))");
    }
    warn_about_sslmode(table, upstream.sslmode, reading);
}

void check_server_name(const Node& table, const Upstream& upstream, Reading& reading) {
    if (upstream.sslmode != SslMode::verify_full || table.gives("ssl_server_name")) return;
    for (const Address& host : upstream.hosts) {
        if (host.kind != Address::Kind::unix_socket) continue;
        reading.error(host.origin, in_quotes(to_string(host)) +
                                       " has no name to verify: sslmode = \"verify-full\" needs ssl_server_name");
    }
}

void warn_about_sslmode(const Node& table, SslMode sslmode, Reading& reading) {
    if (sslmode == SslMode::verify_full) return;
    const auto* const consequence = sslmode == SslMode::verify_ca
                                        ? " does not check the server's name, only who issued its certificate"
                                        : " does not authenticate the server";
    reading.warn(table.where("sslmode"), in_quotes(to_string(sslmode)) + consequence + R"(; "verify-full" does)");
}

std::string setting(std::string_view key, std::string_view value) {
    return std::string{key} + " = " + in_quotes(value);
}

}  // namespace
}  // namespace config
