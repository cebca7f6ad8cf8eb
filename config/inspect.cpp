#include "config/inspect.hpp"

#include <algorithm>

#include "config/keys.hpp"

namespace config {
namespace {

template <class S>
void add_changes(const S& running, const S& loaded, std::vector<std::string>& keys);
template <class S>
void add_files(const S& table, std::vector<std::string>& paths);

}  // namespace

std::vector<std::string> changes_for_restart(const Config& running, const Config& loaded) {
    // Listeners, upstreams and alerts come and go with a reload: none of their keys waits for a
    // restart.
    std::vector<std::string> keys;
    add_changes(running.log, loaded.log, keys);
    add_changes(running.runtime, loaded.runtime, keys);
    add_changes(running.auth, loaded.auth, keys);
    add_changes(running.audit, loaded.audit, keys);
    add_changes(running.audit.probe, loaded.audit.probe, keys);
    add_changes(running.capture, loaded.capture, keys);
    add_changes(running.admin, loaded.admin, keys);
    return keys;
}

std::vector<std::string> files_of(const Config& config) {
    std::vector<std::string> paths;
    add_files(config.log, paths);
    add_files(config.runtime, paths);
    for (const Listener& listener : config.listeners) {
        add_files(listener, paths);
        add_files(listener.tls, paths);
        for (const Certificate& certificate : listener.tls.certificate) add_files(certificate, paths);
    }
    for (const Upstream& upstream : config.upstreams) add_files(upstream, paths);
    add_files(config.auth, paths);
    add_files(config.audit, paths);
    add_files(config.audit.probe, paths);
    add_files(config.capture, paths);
    add_files(config.admin, paths);
    for (const Alert& alert : config.alerts) add_files(alert, paths);
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

namespace {

// Where a value stands in the file makes no other value of it.
template <class T>
bool is_same(const T& a, const T& b) {
    return a == b;
}
bool is_same(const File& a, const File& b) { return a.path == b.path; }
bool is_same(const Address& a, const Address& b) { return to_string(a) == to_string(b); }
bool is_same(const Cidr& a, const Cidr& b) { return a.bytes == b.bytes && a.prefix_length == b.prefix_length; }
bool is_same(const TimeWindow& a, const TimeWindow& b) { return a.begin == b.begin && a.end == b.end; }
template <class T>
bool is_same(const std::vector<T>& a, const std::vector<T>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const T& x, const T& y) { return is_same(x, y); });
}

/// "audit.probe" of "[audit.probe]".
template <class S>
std::string name_of_table() {
    std::string name{section<S>().header};
    std::erase_if(name, [](char c) { return c == '[' || c == ']'; });
    return name;
}

template <class S>
bool has_same_keys(const S& a, const S& b) {
    return std::all_of(section<S>().keys.begin(), section<S>().keys.end(), [&](const Key<S>& key) {
        return std::visit([&](auto member) { return is_same(a.*member, b.*member); }, key.target);
    });
}

template <class S>
void add_changes(const S& running, const S& loaded, std::vector<std::string>& keys) {
    for (const Key<S>& key : section<S>().keys) {
        if (key.takes_effect == TakesEffect::on_reload) continue;
        const bool same = std::visit([&](auto member) { return is_same(running.*member, loaded.*member); }, key.target);
        if (!same) keys.push_back(name_of_table<S>() + "." + std::string{key.name});
    }
}

template <class S>
void add_files(const S& table, std::vector<std::string>& paths) {
    const auto add = [&](const File& file) {
        if (file && file.path != "system") paths.push_back(file.path);
    };
    for (const Key<S>& key : section<S>().keys) {
        std::visit(
            [&]<class T>(T S::*member) {
                if constexpr (std::is_same_v<T, File>) add(table.*member);
                if constexpr (std::is_same_v<T, std::vector<File>>) {
                    for (const File& file : table.*member) add(file);
                }
            },
            key.target);
    }
}

}  // namespace

bool is_same(const Upstream& a, const Upstream& b) { return a.name == b.name && has_same_keys(a, b); }

}  // namespace config
