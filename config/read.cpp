#include "config/read.hpp"

#include <algorithm>
#include <tuple>

#include "config/check.hpp"
#include "config/check_listen.hpp"
#include "config/keys.hpp"
#include "config/known_key.hpp"
#include "config/parse.hpp"
#include "config/secret.hpp"
#include "config/spelling.hpp"
#include "config/value.hpp"

namespace config {
namespace {

Loaded finish(Config config, Reading reading);
void read_probe(const Node& root, Audit& settings, Reading& reading);
void read_upstreams(const Node& root, Config& config, Reading& reading);
Upstream read_upstream(const Node& table, Reading& reading);
void read_listeners(const Node& listeners, Config& config, Reading& reading);
Listener read_listener(const Node& table, Reading& reading);
Origin origin_of(const Node& root, std::string_view table, std::string_view key);
ListenerTls read_listener_tls(const Node& table, Reading& reading);
void read_alerts(const Node& root, Config& config, Reading& reading);
void connect_to_upstreams(const Node& listeners, Config& config, Reading& reading);
void name_listeners(std::vector<Listener>& listeners);
template <class S>
void read_table(const Node& root, std::string_view name, S& into, Reading& reading);
template <class S>
void read_keys(const Node& table, S& into, Reading& reading);
bool is_array_of_tables(const Node& node, std::string_view header, Reading& reading);
Node default_listener(const Node& root);
void unknown_table(const Node& node, Reading& reading);
template <class S>
void unknown_key(const Node& node, Reading& reading);

}  // namespace

Loaded read(const Node& root, Reading reading) {
    Config config;
    for (const Node& child : root.children) {
        const auto known = top_level_tables();
        if (std::find(known.begin(), known.end(), child.name) == known.end()) unknown_table(child, reading);
    }
    read_table(root, "log", config.log, reading);
    config.log.file_origin = origin_of(root, "log", "file");
    read_table(root, "runtime", config.runtime, reading);
    read_table(root, "auth", config.auth, reading);
    if (const Node* const auth = root.find("auth")) check(*auth, config.auth, reading);
    read_table(root, "audit", config.audit, reading);
    config.audit.file_origin = origin_of(root, "audit", "file");
    if (const Node* const audit = root.find("audit")) check(*audit, config.audit, reading);
    check_written_files(root, config, reading);
    read_probe(root, config.audit, reading);
    read_table(root, "admin", config.admin, reading);
    config.admin.console_origin = origin_of(root, "admin", "console");
    config.admin.http_origin = origin_of(root, "admin", "http");
    if (const Node* const admin = root.find("admin")) check(*admin, config.admin, reading);
    read_upstreams(root, config, reading);

    const Node missing = default_listener(root);
    const Node& listeners = root.gives("listener") ? *root.find("listener") : missing;
    if (is_array_of_tables(listeners, "[[listener]]", reading)) read_listeners(listeners, config, reading);
    read_table(root, "capture", config.capture, reading);
    config.capture.dir_origin = origin_of(root, "capture", "dir");
    if (const Node* const capture = root.find("capture"); capture && capture->kind == Node::Kind::table) {
        check(*capture, config.capture, reading);
        check_capture_listeners(*capture, config, reading);
    }
    read_alerts(root, config, reading);
    check_sockets(config, reading);
    check_prewarm(root, config, reading);
    check_limits(root, config, reading);
    return finish(std::move(config), std::move(reading));
}

namespace {

Loaded finish(Config config, Reading reading) {
    const auto by_position = [](const Diagnostic& a, const Diagnostic& b) {
        return std::tie(a.origin.line, a.origin.column) < std::tie(b.origin.line, b.origin.column);
    };
    std::stable_sort(reading.errors.begin(), reading.errors.end(), by_position);
    std::stable_sort(reading.warnings.begin(), reading.warnings.end(), by_position);

    Loaded loaded{.config = {}, .errors = std::move(reading.errors), .warnings = std::move(reading.warnings)};
    if (loaded.errors.empty()) {
        loaded.config = std::move(config);
    } else {
        std::erase_if(config.listeners, [&](const Listener& one) { return !config.find_upstream(one.upstream); });
        loaded.incomplete = std::move(config);
    }
    return loaded;
}

void read_probe(const Node& root, Audit& settings, Reading& reading) {
    const Node* const audit = root.find("audit");
    const Node* const table = audit ? audit->find("probe") : nullptr;
    if (table == nullptr) return;
    if (table->kind != Node::Kind::table) return wrong_type(*table, "a table, [audit.probe]", reading);
    settings.probe.origin = table->origin;
    read_keys(*table, settings.probe, reading);
    check(*table, settings.probe, !settings.inventory.empty(), reading);
}

void read_upstreams(const Node& root, Config& config, Reading& reading) {
    const Node* const upstreams = root.find("upstream");
    if (upstreams == nullptr || (upstreams->kind == Node::Kind::table && upstreams->children.empty())) {
        return reading.error(root.where("upstream"),
                             R"(no server is configured; add a table [upstream.NAME] with hosts = ["HOST:5432"])");
    }
    if (upstreams->kind != Node::Kind::table) return wrong_type(*upstreams, "tables [upstream.NAME]", reading);
    for (const Node& table : upstreams->children) {
        if (table.kind == Node::Kind::table) {
            config.upstreams.push_back(read_upstream(table, reading));
        } else {
            reading.error(table.key_origin, "expected a table of its own for each server, such as [upstream.orders]");
        }
    }
}

Upstream read_upstream(const Node& table, Reading& reading) {
    if (table.name.empty() || has_control_characters(table.name) || may_hold_secret(table.name)) {
        reading.error(table.key_origin, "not a name that could stand in a log");
    }
    Upstream upstream;
    upstream.name = table.name;
    upstream.origin = table.origin;
    read_keys(table, upstream, reading);
    if (upstream.ssl_groups.empty()) upstream.ssl_groups = Upstream{}.ssl_groups;
    check(table, upstream, reading);
    return upstream;
}

void read_listeners(const Node& listeners, Config& config, Reading& reading) {
    for (const Node& table : listeners.children) config.listeners.push_back(read_listener(table, reading));
    connect_to_upstreams(listeners, config, reading);
    name_listeners(config.listeners);
}

Listener read_listener(const Node& table, Reading& reading) {
    Listener listener;
    listener.origin = table.origin;
    read_keys(table, listener, reading);

    if (table.find("listen") == nullptr) {
        listener.listen = {
            {.kind = Address::Kind::tcp, .host = "127.0.0.1", .port = 6432, .origin = table.where("listen")}};
    }
    // Nobody from outside by accident: opening a listener to a network is a decision.
    if (table.find("allow") == nullptr) listener.allow = {*parse_cidr("127.0.0.0/8"), *parse_cidr("::1/128")};
    if (table.find("allow") != nullptr && !table.gives("allow"))
        reading.warn(table.where("allow"), "lets nobody in over TCP");

    listener.tls.origin = table.where("tls");
    const Node* const tls = table.find("tls");
    if (tls != nullptr && tls->kind != Node::Kind::table) wrong_type(*tls, "a table, [listener.tls]", reading);
    if (tls != nullptr && tls->kind == Node::Kind::table) listener.tls = read_listener_tls(*tls, reading);
    check_doors(table, listener, reading);
    return listener;
}

/// Of a key in a table that need not be there.
Origin origin_of(const Node& root, std::string_view table, std::string_view key) {
    const Node* const found = root.find(table);
    const Node* const value = found ? found->find(key) : nullptr;
    if (value) return value->origin;
    return {.file = root.origin.file, .line = 0, .column = 0, .key = std::string{table} + "." + std::string{key}};
}

ListenerTls read_listener_tls(const Node& table, Reading& reading) {
    ListenerTls tls;
    tls.origin = table.origin;
    read_keys(table, tls, reading);
    check(table, tls, reading);

    const Node* const certificates = table.find("certificate");
    if (certificates == nullptr || !is_array_of_tables(*certificates, "[[listener.tls.certificate]]", reading))
        return tls;
    for (const Node& child : certificates->children) {
        Certificate certificate;
        read_keys(child, certificate, reading);
        check(child, certificate, reading);
        tls.certificate.push_back(std::move(certificate));
    }
    return tls;
}

void read_alerts(const Node& root, Config& config, Reading& reading) {
    const Node* const alerts = root.find("alert");
    if (alerts == nullptr || !is_array_of_tables(*alerts, "[[alert]]", reading)) return;
    for (const Node& table : alerts->children) {
        Alert alert;
        alert.origin = table.origin;
        read_keys(table, alert, reading);
        if (alert.name.empty()) alert.name = "alert-" + std::to_string(config.alerts.size() + 1);
        check(table, alert, config, reading);
        config.alerts.push_back(std::move(alert));
    }
    check_distinct(config.alerts, reading);
}

/// Every listener's upstream is one of the file's, afterwards, or an error says so.
void connect_to_upstreams(const Node& listeners, Config& config, Reading& reading) {
    std::vector<std::string_view> known;
    for (const Upstream& upstream : config.upstreams) known.push_back(upstream.name);
    if (known.empty()) return;  // said already

    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        Listener& listener = config.listeners[i];
        const Node& table = listeners.children[i];
        if (listener.upstream.empty() && known.size() == 1) listener.upstream = known.front();
        if (!listener.upstream.empty() && config.find_upstream(listener.upstream) == nullptr) {
            reading.error(table.where("upstream"), not_one_of(listener.upstream, known));
        }
        if (listener.upstream.empty() && known.size() > 1) {
            reading.error(table.where("upstream"), "is required where there are several: one of " + join(known));
        }
    }
}

void name_listeners(std::vector<Listener>& listeners) {
    const auto is_taken = [&](const std::string& name) {
        return name.empty() ||
               std::any_of(listeners.begin(), listeners.end(), [&](const Listener& l) { return l.name == name; });
    };
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        if (!listeners[i].name.empty()) continue;
        std::string name = listeners[i].upstream;
        for (std::size_t number = i + 1; is_taken(name); ++number) name = "listener-" + std::to_string(number);
        listeners[i].name = std::move(name);
    }
}

template <class S>
void read_table(const Node& root, std::string_view name, S& into, Reading& reading) {
    const Node* const table = root.find(name);
    if (table == nullptr) return;
    if (table->kind != Node::Kind::table)
        return wrong_type(*table, "a table, " + std::string{section<S>().header}, reading);
    read_keys(*table, into, reading);
}

template <class S>
void read_keys(const Node& table, S& into, Reading& reading) {
    const Section<S>& known = section<S>();
    for (const Node& child : table.children) {
        const auto is_table = std::find(known.tables.begin(), known.tables.end(), child.name) != known.tables.end();
        if (is_table) continue;  // the caller's
        const auto key =
            std::find_if(known.keys.begin(), known.keys.end(), [&](const Key<S>& k) { return k.name == child.name; });
        if (key == known.keys.end()) {
            unknown_key<S>(child, reading);
            continue;
        }
        std::visit([&](auto member) { read_value(child, key->rule, into.*member, reading); }, key->target);
    }
}

bool is_array_of_tables(const Node& node, std::string_view header, Reading& reading) {
    const auto is_table = [](const Node& child) { return child.kind == Node::Kind::table; };
    if (node.kind == Node::Kind::array && std::all_of(node.children.begin(), node.children.end(), is_table))
        return true;
    wrong_type(node, "tables with the header " + std::string{header}, reading);
    return false;
}

/// What [[listener]] alone would have been.
Node default_listener(const Node& root) {
    Node table{.kind = Node::Kind::table};
    table.origin = root.where("listener");
    Node listeners{.kind = Node::Kind::array, .origin = table.origin};
    listeners.children.push_back(std::move(table));
    return listeners;
}

/// Where a key of this name, or nearly of this name, would be right. Empty: nowhere.
std::string elsewhere(const std::string& name) {
    if (const std::string tables = tables_of(name); !tables.empty()) return "it belongs to " + tables;
    if (const auto told = what_stands_for(name); !told.empty()) return std::string(told);
    const KnownKey* const meant = nearest_of_all(name);
    if (meant == nullptr) return {};
    return "did you mean " + in_quotes(meant->name) + " of " + tables_of(meant->name) + "?";
}

void unknown_table(const Node& node, Reading& reading) {
    const bool is_key = node.kind != Node::Kind::table && node.kind != Node::Kind::array;
    const std::string place = is_key || !tables_of(node.name).empty() ? elsewhere(node.name) : "";
    if (is_key)
        return reading.error(
            node.key_origin,
            "unknown key: " + (place.empty() ? "every key belongs to one of the tables " + join(top_level_tables())
                                             : place + " (the table's header stands above its keys)"));
    const auto meant = nearest(node.name, top_level_tables());
    const std::string known = place.empty() ? "the tables are " + join(top_level_tables()) : place;
    reading.error(node.key_origin, "unknown table; " + (meant ? "did you mean " + in_quotes(*meant) + "?" : known));
}

template <class S>
void unknown_key(const Node& node, Reading& reading) {
    const Section<S>& known = section<S>();
    std::vector<std::string_view> words;
    for (const Key<S>& key : known.keys) words.push_back(key.name);
    words.insert(words.end(), known.tables.begin(), known.tables.end());

    const auto meant = nearest(node.name, words);
    const std::string kind = node.kind == Node::Kind::table ? "unknown table" : "unknown key";
    std::string right = meant ? "did you mean " + in_quotes(*meant) + "?" : elsewhere(node.name);
    if (right.empty()) right = std::string{known.header} + " has " + join(words);
    // A name that is right elsewhere is no slip of the pen.
    if (const auto told = what_stands_for(node.name); !told.empty()) right = told;
    if (meant && !tables_of(node.name).empty()) right = elsewhere(node.name) + "; or " + right;
    reading.error(node.key_origin, kind + "; " + right);
}

}  // namespace
}  // namespace config
