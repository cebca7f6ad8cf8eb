#include "config/check.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <regex>
#include <thread>

#include "config/discovery.hpp"
#include "config/file.hpp"
#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/parse.hpp"
#include "config/secret.hpp"
#include "config/spelling.hpp"

namespace config {

using protocol::SslMode;

namespace {

struct Pair {
    std::string_view certificate;
    std::string_view key;
};

constexpr std::array ways_to_tell{std::string_view("webhook"), std::string_view("webhook_file"),
                                  std::string_view("command")};

void check_command(const Node& table, const std::string& program, Reading& reading);
template <class Named>
void check_known(const Node& table, std::string_view key, const std::vector<std::string>& names,
                 const std::vector<Named>& known, Reading& reading);
void check_pair(const Node& table, Pair pair, Reading& reading);
void check_client_cert(const Node& table, const ListenerTls& tls, Reading& reading);
void check_monitor(const Node& table, const Upstream& upstream, Reading& reading);
void check_discovery(const Node& table, const Upstream& upstream, Reading& reading);
void check_windows(const Node& table, const std::vector<TimeWindow>& windows, Reading& reading);
void check_versions(const Node& table, TlsVersion min, TlsVersion max, Reading& reading);
void check_sslmode(const Node& table, const Upstream& upstream, Reading& reading);
void check_server_name(const Node& table, const Upstream& upstream, Reading& reading);
void warn_about_sslmode(const Node& table, SslMode sslmode, Reading& reading);
std::string consequence_of(SslMode sslmode, bool has_anchors);
void check_fleet(const Node& table, const std::string& url, Reading& reading);
void check_inventory(const Node& table, const std::string& inventory, Reading& reading);
bool has_password(std::string_view url);
std::string_view parameter(std::string_view url, std::string_view name);
std::string setting(std::string_view key, std::string_view value);

}  // namespace

void check(const Node& table, const ListenerTls& tls, Reading& reading) {
    check_pair(table, {"cert_file", "key_file"}, reading);
    if (table.gives("ssl_passphrase_command") && !table.gives("key_file") && tls.certificate.empty())
        reading.warn(table.where("ssl_passphrase_command"), "has no effect without key_file");
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
    check_monitor(table, upstream, reading);
    if (table.gives("ssl_passphrase_command") && !table.gives("sslkey"))
        reading.warn(table.where("ssl_passphrase_command"), "has no effect without sslkey");
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
    for (const std::string_view key : {"users_file", "mock_authentication_nonce_file"}) {
        if (!terminates && table.gives(key))
            reading.warn(table.where(key), R"(has no effect without scram = "terminate")");
    }
}

void check(const Node& table, const Audit& audit, Reading& reading) {
    try {
        const std::regex pattern(audit.application_name_pattern);
    } catch (const std::regex_error& error) {
        reading.error(table.where("application_name_pattern"),
                      in_quotes(audit.application_name_pattern) + " is no regular expression: " + error.what());
    }
    if (may_hold_secret(audit.file))
        reading.error(table.where("file"), in_quotes(audit.file) + " is no path of a file");
    check_inventory(table, audit.inventory, reading);
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

void check(const Node& table, const Capture& capture, Reading& reading) {
    if (capture.keylog && !capture.allow_secrets) {
        reading.error(table.where("keylog"),
                      "needs allow_secrets = true: whoever has the keys reads passwords and everything else");
    }
    if (capture.allow_secrets && !capture.keylog && capture.payload != protocol::Payload::full) {
        reading.warn(table.where("allow_secrets"), R"(has no effect without payload = "full" or keylog = true)");
    }
    if (capture.dir.empty()) reading.error(table.where("dir"), "is required: where the files go");
    if (may_hold_secret(capture.dir))
        reading.error(table.where("dir"), in_quotes(capture.dir) + " is no path of a folder");
    if (capture.max_file_size > capture.max_total_size) {
        reading.error(table.where(table.find("max_file_size") ? "max_file_size" : "max_total_size"),
                      "max_file_size is larger than max_total_size");
    }
    check_windows(table, capture.windows, reading);
}

void check(const Node& table, const Admin& admin, Reading& reading) {
    const auto address = parse_address(admin.http);
    if (address && !is_of_this_host(*address) && !admin.http_token_file) {
        reading.error(table.where("http"), in_quotes(admin.http) +
                                               " is reached from other hosts: it needs http_token_file, a file with "
                                               "the token that they send");
    }
    if (admin.http.empty() && admin.http_token_file)
        reading.warn(table.where("http_token_file"), "has no effect without http");
}

void check(const Node& table, const Alert& alert, const Config& config, Reading& reading) {
    const auto wants = [&](AlertKind kind) {
        return std::find(alert.on.begin(), alert.on.end(), kind) != alert.on.end();
    };
    if (!table.gives("on"))
        reading.error(table.where("on"), "is required: one or several of " + join(names<AlertKind>()));
    const bool has_inventory = !config.audit.inventory.empty();
    for (const AlertKind kind : {AlertKind::new_weak_client, AlertKind::client_changed, AlertKind::client_weakened}) {
        if (wants(kind) && !has_inventory)
            reading.error(table.where("on"), in_quotes(names<AlertKind>()[static_cast<std::size_t>(kind)]) +
                                                 " needs audit.inventory: whoever knows no clients knows no new ones");
    }
    if (wants(AlertKind::certificate_expiring) && config.audit.expiry_warning.count() == 0)
        reading.error(table.where("on"), R"("certificate_expiring" needs audit.expiry_warning)");
    const auto ways =
        std::count_if(ways_to_tell.begin(), ways_to_tell.end(), [&](std::string_view key) { return table.gives(key); });
    if (ways != 1)
        reading.error(table.where(ways == 0 ? "webhook" : "command"),
                      "exactly one is needed of webhook, webhook_file and command");
    if (!alert.command.empty()) check_command(table, alert.command.front(), reading);
    for (const std::string_view key : {"token_file", "sslrootcert"}) {
        if (table.gives(key) && table.gives("command"))
            reading.error(table.where(key), "is for a webhook, and has no effect on a command");
    }
    if (table.gives("template_file") && table.find("template"))
        reading.error(table.where("template"), "has no effect beside template_file");
    check_known(table, "listeners", alert.listeners, config.listeners, reading);
    check_known(table, "upstreams", alert.upstreams, config.upstreams, reading);
}

void check_distinct(const std::vector<Alert>& alerts, Reading& reading) {
    for (auto alert = alerts.begin(); alert != alerts.end(); ++alert) {
        const bool taken =
            std::any_of(alerts.begin(), alert, [&](const Alert& one) { return one.name == alert->name; });
        if (!taken) continue;
        Origin origin = alert->origin;
        origin.key += ".name";
        reading.error(origin, in_quotes(alert->name) + " is the name of an earlier alert; names must differ");
    }
}

void check_capture_listeners(const Node& table, const Config& config, Reading& reading) {
    std::vector<std::string_view> known;
    for (const Listener& listener : config.listeners) known.push_back(listener.name);
    for (const std::string& name : config.capture.listeners) {
        if (std::find(known.begin(), known.end(), name) == known.end())
            reading.error(table.where("listeners"), not_one_of(name, known));
    }
}

void check_prewarm(const Node& root, const Config& config, Reading& reading) {
    constexpr unsigned many = 100;
    const Node* const tables = root.find("upstream");
    const unsigned threads =
        config.runtime.threads > 0 ? config.runtime.threads : std::max(1U, std::thread::hardware_concurrency());
    for (const Upstream& upstream : config.upstreams) {
        const Node* const table = tables ? tables->find(upstream.name) : nullptr;
        if (!table || upstream.prewarm * threads <= many) continue;
        reading.warn(table->where("prewarm"), std::to_string(upstream.prewarm) + " for each of " +
                                                  std::to_string(threads) + " threads are " +
                                                  std::to_string(upstream.prewarm * threads) +
                                                  " connections, each of which is a process of the server");
    }
}

void check_limits(const Node& root, const Config& config, Reading& reading) {
    const Runtime& runtime = config.runtime;
    const Node none{.kind = Node::Kind::table, .origin = root.where("runtime")};
    const Node* const given = root.find("runtime");
    const Node& table = given ? *given : none;
    const unsigned reserved = runtime.reserved_connections;
    if (reserved > 0 && reserved >= runtime.max_connections)
        reading.error(table.where("reserved_connections"),
                      std::to_string(reserved) + " leave none of max_connections = " +
                          std::to_string(runtime.max_connections) + " for anybody else");
    if (reserved > 0 && runtime.reserved_users.empty())
        reading.error(table.where("reserved_connections"), "needs reserved_users: for whom they are left");
    const bool has_effect =
        reserved > 0 || std::any_of(config.upstreams.begin(), config.upstreams.end(), [](const Upstream& upstream) {
            return upstream.max_user_connections > 0 || upstream.max_db_connections > 0;
        });
    if (!runtime.reserved_users.empty() && !has_effect)
        reading.warn(table.where("reserved_users"),
                     "has no effect without reserved_connections, max_user_connections or max_db_connections");
    const Node* const tables = root.find("listener");
    for (std::size_t i = 0; tables != nullptr && i < std::min(tables->children.size(), config.listeners.size()); ++i) {
        const Listener& listener = config.listeners[i];
        const unsigned most = listener.max_connections;
        if (most == 0) continue;
        const Origin origin = tables->children[i].where("max_connections");
        if (reserved >= most)
            reading.error(origin, std::to_string(most) + " of listener " + in_quotes(listener.name) +
                                      " leave none beside runtime.reserved_connections = " + std::to_string(reserved));
        if (most > runtime.max_connections)
            reading.warn(origin, std::to_string(most) + " of listener " + in_quotes(listener.name) +
                                     " are never reached: runtime.max_connections is " +
                                     std::to_string(runtime.max_connections));
    }
}

void check_written_files(const Node& root, const Config& config, Reading& reading) {
    struct Written {
        const char* table;
        const char* key;
        std::filesystem::path path;
    };
    const std::filesystem::path folder = config.runtime.state_dir;
    const bool is_shared = config.audit.inventory.find("://") != std::string::npos;
    std::vector<Written> files{{"log", "file", config.log.file},
                               {"audit", "file", config.audit.file.empty() ? "" : folder / config.audit.file},
                               {"audit", "inventory", ""}};
    const std::string inventory = is_shared ? Audit{}.inventory : config.audit.inventory;
    if (!inventory.empty()) files[2].path = folder / inventory;
    for (auto file = files.begin(); file != files.end(); ++file) {
        // Devices and pipes take lines of both.
        const bool is_file = !file->path.string().starts_with("/dev/") && !file->path.string().starts_with("/proc/");
        if (file->path.empty() || file->path.filename() == "-" || !is_file) continue;
        const auto same = [&](const Written& one) {
            return one.path.lexically_normal() == file->path.lexically_normal();
        };
        const auto earlier = std::find_if(files.begin(), file, same);
        if (earlier == file) continue;
        const Node* const table = root.find(file->table);
        const Node* const other = root.find(earlier->table);
        const Node* const named = table && table->gives(file->key) ? table : other;
        if (!named) continue;  // both by default: they differ
        reading.error(named->where(named == table ? file->key : earlier->key),
                      std::string(file->table) + "." + file->key + " and " + earlier->table + "." + earlier->key +
                          " are one file, " + in_quotes(file->path.string()) +
                          ": each would destroy what the other writes");
    }
}

namespace {

void check_command(const Node& table, const std::string& program, Reading& reading) {
    if (!program.starts_with('/'))
        return reading.error(table.where("command"),
                             hidden(program) + " is not an absolute path: no shell looks for it");
    struct stat status {};
    if (::stat(program.c_str(), &status) != 0) {
        const int error = errno;
        const std::size_t blank = program.find(' ');
        // Arguments may hold secrets, and stand in one string with the program only by mistake.
        if (blank != std::string::npos)
            return reading.error(table.where("command"), in_quotes(program.substr(0, blank)) +
                                                             " and what stands behind it are one string: program and "
                                                             "arguments are a list, [\"/path/program\", \"argument\"]");
        return reading.error(table.where("command"), in_quotes(program) + ": " + std::strerror(error));
    }
    if (!S_ISREG(status.st_mode) || ::access(program.c_str(), X_OK) != 0)
        reading.error(table.where("command"), in_quotes(program) + " is no file that we may execute");
}

template <class Named>
void check_known(const Node& table, std::string_view key, const std::vector<std::string>& names,
                 const std::vector<Named>& known, Reading& reading) {
    std::vector<std::string_view> words;
    for (const Named& one : known) words.push_back(one.name);
    for (const std::string& name : names) {
        if (std::find(words.begin(), words.end(), name) == words.end())
            reading.error(table.where(key), not_one_of(name, words));
    }
}

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
    for (const std::string_view key : {"ca_file", "ssl_crl_file"}) {
        if (!is_asked_for && table.gives(key))
            reading.warn(table.where(key), R"(has no effect without client_cert = "request" or "require")");
    }
    if (tls.client_cert == ClientCert::require && tls.mode == ClientTlsMode::allow) {
        reading.warn(table.where("client_cert"),
                     R"("require" asks nothing of plain connections; mode = "require" refuses those)");
    }
}

/// One that has passed is no mistake, for the file stays as it is; of two that overlap each would
/// write the same.
void check_windows(const Node& table, const std::vector<TimeWindow>& windows, Reading& reading) {
    const auto now = std::chrono::system_clock::now();
    const bool over =
        std::all_of(windows.begin(), windows.end(), [&](const TimeWindow& one) { return one.end <= now; });
    if (!windows.empty() && over) reading.warn(table.where("windows"), "all of them have passed: nothing is captured");
    std::vector<TimeWindow> sorted = windows;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    const auto overlap =
        std::adjacent_find(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return b.begin < a.end; });
    if (overlap != sorted.end()) reading.error(table.where("windows"), "two of them overlap: make them one");
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
    const bool verifies = upstream.sslmode >= SslMode::verify_ca || table.gives("sslrootcert");
    if (table.gives("sslcrl") && !verifies) {
        reading.error(table.where("sslcrl"), "needs sslrootcert: with sslmode " + sslmode +
                                                 " the server's certificate is not verified without it");
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

void check_monitor(const Node& table, const Upstream& upstream, Reading& reading) {
    const bool is_monitored = !upstream.monitor_user.empty();
    const auto warn = [&](const char* key) { reading.warn(table.where(key), "has no effect without monitor_user"); };
    if (!is_monitored && table.gives("monitor_password_file")) warn("monitor_password_file");
    if (!is_monitored && upstream.monitor_interval != Upstream{}.monitor_interval) warn("monitor_interval");
    if (!is_monitored && upstream.sample_interval != Upstream{}.sample_interval) warn("sample_interval");
    if (upstream.sample_interval.count() > 0 && upstream.sample_interval < shortest_sample_interval)
        reading.error(table.where("sample_interval"), "is shorter than 1s");
    using Attrs = TargetSessionAttrs;
    const bool wants_writes =
        upstream.target_session_attrs == Attrs::read_write || upstream.target_session_attrs == Attrs::primary;
    if (upstream.on_demotion == OnDemotion::close && !wants_writes)
        reading.error(
            table.where("on_demotion"),
            R"("close" needs target_session_attrs = "read-write" or "primary": others may stay where they are)");
    if (upstream.on_demotion == OnDemotion::close && wants_writes && !is_monitored)
        reading.warn(table.where("on_demotion"),
                     "\"close\" may never act without monitor_user: that a server was demoted is then only known "
                     "after the next login at it, of which there may be none");
    if (upstream.monitor_interval < shortest_monitor_interval)
        reading.error(table.where("monitor_interval"), "is shorter than 250ms");
    check_discovery(table, upstream, reading);
}

void check_discovery(const Node& table, const Upstream& upstream, Reading& reading) {
    if (!upstream.discover) {
        if (!upstream.discover_pattern.empty())
            reading.warn(table.where("discover_pattern"), "has no effect without discover = true");
        return;
    }
    if (upstream.monitor_user.empty())
        reading.error(table.where("discover"), "needs monitor_user: it is the monitor that finds hosts");
    if (!upstream.ssl_server_name.empty())
        reading.error(table.where("ssl_server_name"),
                      "is one name for all hosts, and those that are found are verified by their own: leave it out, or "
                      "discover");
    const DiscoveryDomain found = discovery_domain(upstream.hosts, upstream.discover_pattern);
    if (!found.error.empty() && !upstream.hosts.empty())
        reading.error(table.where(found.of_pattern ? "discover_pattern" : "discover"), found.error);
    if (upstream.target_session_attrs == TargetSessionAttrs::any)
        reading.warn(table.where("discover"),
                     "with target_session_attrs = \"any\" leads clients to any instance, readers too, while those in "
                     "hosts do not serve");
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
    reading.warn(table.where("sslmode"), in_quotes(to_string(sslmode)) +
                                             consequence_of(sslmode, table.gives("sslrootcert")) +
                                             R"(; "verify-full" does)");
}

/// With anchors require is verify-ca, as in libpq. Below it what they refuse ends in clear.
std::string consequence_of(SslMode sslmode, bool has_anchors) {
    const bool as_verify_ca = sslmode == SslMode::require && has_anchors;
    if (sslmode != SslMode::verify_ca && !as_verify_ca) return " does not authenticate the server";
    return std::string(as_verify_ca ? " with sslrootcert" : "") +
           " does not check the server's name, only who issued its certificate";
}

/// A connection string of libpq, a URL of another scheme or one with a slip in it would be a file
/// name too: a file that holds the inventory and has the password as its name.
void check_inventory(const Node& table, const std::string& inventory, Reading& reading) {
    if (inventory.starts_with("postgresql://") || inventory.starts_with("postgres://"))
        return check_fleet(table, inventory, reading);
    const bool is_from_a_folder = inventory.starts_with('/') || inventory.starts_with("./");
    const bool has_signs = !is_from_a_folder && inventory.find_first_of("=@") != std::string::npos;
    const bool has_blanks = inventory.starts_with(' ') || inventory.ends_with(' ');
    if (has_signs || has_blanks || may_hold_secret(inventory))
        reading.error(table.where("inventory"),
                      hidden(inventory) +
                          " is neither the path of a file, without '=', '@' and blanks around it, nor "
                          "a URL that begins with postgresql://");
}

/// What libpq makes of the URL is its own affair; here is what an operator would want to know.
void check_fleet(const Node& table, const std::string& url, Reading& reading) {
    const auto modes = names<SslMode>();
    const auto mode = std::find(modes.begin(), modes.end(), parameter(url, "sslmode"));
    if (mode != modes.end() && *mode != to_string(SslMode::verify_full)) {
        const bool has_anchors = !parameter(url, "sslrootcert").empty();
        reading.warn(table.where("inventory"),
                     "sslmode=" + std::string{*mode} +
                         consequence_of(static_cast<SslMode>(mode - modes.begin()), has_anchors) +
                         "; verify-full, the default, does");
    }
    if (!has_password(url)) return;
    const std::string fault = why_not_secret(table.origin.file);
    if (!fault.empty()) {
        reading.warn(table.where("inventory"),
                     "this file holds a password, and " + fault + "; or keep the password in a passfile");
    }
}

bool has_password(std::string_view url) {
    const std::string_view authority = url.substr(url.find("://") + 3);
    const std::string_view user = authority.substr(0, authority.find_first_of("/?@"));
    const bool in_front =
        user.size() < authority.size() && authority[user.size()] == '@' && user.find(':') != std::string_view::npos;
    return in_front || !parameter(url, "password").empty();
}

/// Of `?name=value&...`.
std::string_view parameter(std::string_view url, std::string_view name) {
    for (std::size_t at = url.find('?'); at != std::string_view::npos; at = url.find('&', at + 1)) {
        const std::string_view rest = url.substr(at + 1);
        if (rest.starts_with(name) && rest.substr(name.size()).starts_with('='))
            return rest.substr(name.size() + 1, rest.find('&') - name.size() - 1);
    }
    return {};
}

std::string setting(std::string_view key, std::string_view value) {
    return std::string{key} + " = " + in_quotes(value);
}

}  // namespace
}  // namespace config
