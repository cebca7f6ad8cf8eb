#include "proxy/command/check/loaded.hpp"

#include <algorithm>
#include <iterator>

#include "proxy/command/state_dir.hpp"

namespace proxy::command {
namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

void load(const CheckOptions& options, LoadedCheck& check) {
    config::Loaded loaded = load_config(options.source);
    check.errors = loaded.errors;
    check.warnings = std::move(loaded.warnings);
    if (!loaded.config) {
        if (loaded.incomplete) check.errors = all_errors(loaded, state_dir(loaded.incomplete->runtime.state_dir));
        return;
    }
    config::Config& config = *loaded.config;
    if (options.timeout) {
        for (config::Upstream& upstream : config.upstreams) upstream.connect_timeout = *options.timeout;
    }
    const PreflightOptions preflight{.state_dir = state_dir(config.runtime.state_dir),
                                     .with_addresses = !options.source.config_file.empty(),
                                     .offline = options.offline,
                                     .patience = options.timeout.value_or(PreflightOptions{}.patience)};
    check.preflight = look_at_files(config, preflight);
    LoadedSnapshot snapshot =
        load_snapshot(without_generated(config), {.path = preflight.state_dir, .writable = false});
    append(check.errors, std::move(snapshot.errors));
    append(check.warnings, std::move(snapshot.warnings));
    if (snapshot.snapshot) {
        std::vector<Finding> dates = look_at_dates(*snapshot.snapshot, check.warnings);
        if (dates.empty()) dates.push_back({.what = "certificates, keys and secrets"});
        append(check.preflight, std::move(dates));
        append(check.preflight, look_at_addresses(*snapshot.snapshot, preflight));
    }
    append(check.errors, said(check.preflight, Finding::State::error));
    append(check.warnings, said(check.preflight, Finding::State::warning));
    if (check.errors.empty()) check.snapshot = std::move(snapshot.snapshot);
}

}  // namespace

LoadedCheck load_for_check(const CheckOptions& options) {
    LoadedCheck check{.config_file = options.source.config_file};
    if (!check.config_file.empty()) check.config_stamp = config::file_stamp(check.config_file);
    const config::FilesRead files;
    load(options, check);
    check.files = files.states();
    return check;
}

bool is_outdated(const LoadedCheck& loaded) {
    if (!loaded.config_file.empty() && config::file_stamp(loaded.config_file) != loaded.config_stamp) return true;
    return std::any_of(loaded.files.begin(), loaded.files.end(),
                       [](const auto& file) { return config::file_stamp(file.first) != file.second.stamp; });
}

}  // namespace proxy::command
