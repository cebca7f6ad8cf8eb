#include "proxy/command/named_config.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "config/keys.hpp"
#include "config/known_key.hpp"
#include "proxy/admin/console_path.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"

namespace proxy::command {
namespace {

bool is_of_place(std::string_view key) { return key == "state_dir" || key == "console"; }

/// Whether what is wrong may have been meant to say where the proxy is: a key that could not be
/// read, or one that nobody knows and that may be a misspelt one, or stand in a misspelt table.
bool may_be_of_place(const config::Diagnostic& error) {
    const std::string_view key = error.origin.key;
    const std::string_view table = key.substr(0, key.find('.')), name = key.substr(key.rfind('.') + 1);
    if (is_of_place(name)) return true;
    const auto tables = config::top_level_tables();
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) return true;
    if (!config::tables_of(name).empty()) return false;
    if (table == "runtime" || table == "admin") return true;
    const config::KnownKey* const meant = config::nearest_of_all(name);
    return meant != nullptr && is_of_place(meant->name);
}

/// Of a file that is no TOML.
bool mentions_place(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with('#')) continue;
        if (line.find("state_dir") != std::string::npos || line.find("console") != std::string::npos) return true;
    }
    return in.bad();
}

/// systemd sets it for a unit, whose proxy has no other one unless its configuration says so.
bool is_in_unit() {
    const char* const dir = std::getenv("STATE_DIRECTORY");
    return dir != nullptr && *dir != '\0';
}

/// What can be relied on of a file with errors, as far as state directory and console go; nullopt:
/// it may be about any proxy.
std::optional<config::Config> rest_of(const config::Loaded& loaded, const std::string& file) {
    if (loaded.incomplete) {
        const bool is_named = !loaded.incomplete->runtime.state_dir.empty();
        if (is_named || std::none_of(loaded.errors.begin(), loaded.errors.end(), may_be_of_place))
            return loaded.incomplete;
        return std::nullopt;
    }
    const bool was_read =
        std::all_of(loaded.errors.begin(), loaded.errors.end(), [](const auto& one) { return one.origin.line > 0; });
    if (was_read && is_in_unit() && !mentions_place(file)) return config::Config{};
    return std::nullopt;
}

}  // namespace

config::Config named_config(const std::string& file) {
    config::Loaded loaded = load_config({.config_file = file, .flags = {}});
    if (loaded.config) return std::move(*loaded.config);
    print(loaded.errors, {});
    throw Unusable("the configuration " + file + " has errors");
}

ConsolePlace console_place(const std::string& console, const std::string& config_file, Broken broken) {
    if (!console.empty()) return {.path = console};
    if (config_file.empty()) return {.path = console_path(config::Admin{}, state_dir(""))};
    config::Loaded loaded = load_config({.config_file = config_file, .flags = {}});
    if (!loaded.config && broken == Broken::reaches_its_proxy) loaded.config = rest_of(loaded, config_file);
    if (!loaded.config) {
        print(loaded.errors, {});
        throw Unusable("the configuration " + config_file + " has errors" +
                       (broken == Broken::stops ? "" : ", and does not say which proxy is meant: none was asked"));
    }
    std::string path = console_path(loaded.config->admin, state_dir(loaded.config->runtime.state_dir));
    if (path.empty())
        throw Unusable("admin.console of " + config_file +
                       " is off (without it SIGHUP reloads and SIGUSR2 upgrades; the log has the outcome)");
    return {.path = std::move(path), .errors = std::move(loaded.errors)};
}

std::string why_no_place(const std::string& value) {
    return value.empty() ? "it is empty; was a variable meant that is not set?" : "";
}

}  // namespace proxy::command
