#include "proxy/command/check/preflight.hpp"

#include <algorithm>
#include <filesystem>

#include "proxy/capture/capture_windows.hpp"
#include "proxy/command/check/inventory_file_check.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/expiry_warnings.hpp"
#include "proxy/record/line_file.hpp"
#include "proxy/route/in_use.hpp"
#include "tls/authority.hpp"

namespace proxy::command {

namespace {

using State = Finding::State;
namespace fs = std::filesystem;

Finding found(std::string what) { return {.what = std::move(what), .state = State::ok, .said = {}}; }

Finding found(std::string what, State state, config::Diagnostic said) {
    return {.what = std::move(what), .state = state, .said = std::move(said)};
}

/// No reason not to serve, nor before a window that nobody has planned.
void look_at_capture_folder(const config::Capture& config, const std::string& state_dir,
                            std::vector<Finding>& findings) {
    const RunningCaptures::Settings settings{.config = config, .state_dir = state_dir, .listeners = {}};
    const auto now = std::chrono::system_clock::now();
    const auto is_to_come = [&](const config::TimeWindow& window) { return window.end > now; };
    if (std::none_of(config.windows.begin(), config.windows.end(), is_to_come)) return;
    const std::string dir = RunningCaptures::dir(settings);
    const std::string what = "capture.dir " + dir;
    const std::string why = CaptureFolder::obstacle(dir, config.min_free_space);
    if (why.empty()) findings.push_back(found(what));
    if (!why.empty())
        findings.push_back(
            found(what, State::warning, {config.dir_origin, "capture.windows will not be captured: " + why}));
    const std::string left_out = warning_of(order_of(config).filter);
    if (!left_out.empty())
        findings.push_back(
            found("capture.windows", State::warning, {config.dir_origin, "capture.windows: " + left_out}));
}

/// No reason not to serve: what is seen is not kept, until it can be used.
void look_at_inventory_file(const config::Audit& audit, const PreflightOptions& options,
                            std::vector<Finding>& findings) {
    const std::string path = (fs::path(options.state_dir) / audit.inventory).string();
    const std::string what = "audit.inventory " + path;
    InventoryLook look = look_into_inventory(path, options.patience);
    if (look.fault.empty()) look.fault = obstacle_to_writing(path, options.state_dir).error;
    if (!look.fault.empty())
        return findings.push_back(found(what, State::warning,
                                        {{},
                                         "audit.inventory: cannot use " + path + ": " + look.fault +
                                             ". Clients and what they do would not be remembered"}));
    if (look.not_looked.empty()) return findings.push_back(found(what));
    findings.push_back(found(what, State::skipped, {{}, look.not_looked}));
}

/// Likewise: what is seen waits in the state directory.
void look_at_fleet(const config::Audit& audit, const PreflightOptions& options, std::vector<Finding>& findings) {
    std::string what = "audit.inventory";
    try {
        const PostgresUrl url(audit.inventory);
        what += " " + url.shown();
        if (options.offline)
            return findings.push_back(found(what, State::skipped, {{}, "not tried: --offline asks no other host"}));
        const auto deadline = std::chrono::steady_clock::now() + options.patience;
        Postgres database(
            url, [deadline] { return std::chrono::steady_clock::now() > deadline; }, "pgairlock check");
        database.exec("SELECT 1");
        findings.push_back(found(what));
    } catch (const PostgresError& error) {
        findings.push_back(found(what, State::warning,
                                 {{}, std::string("audit.inventory: cannot use the database: ") + error.what()}));
    }
}

void look_at_inventory(const config::Audit& audit, const PreflightOptions& options, std::vector<Finding>& findings) {
    if (audit.inventory.empty()) return;
    if (PostgresUrl::is_one(audit.inventory)) return look_at_fleet(audit, options, findings);
    look_at_inventory_file(audit, options, findings);
}

/// The certificate that a listener without one shows is generated, or issued anew, at the start.
void look_at_authority(const config::Config& config, const std::string& state_dir, std::vector<Finding>& findings) {
    const std::string dir = state_dir + "/tls";
    for (const config::Listener& listener : config.listeners) {
        const config::ListenerTls& tls = listener.tls;
        const bool generates = tls.mode != config::ClientTlsMode::disable && !tls.cert_file && tls.certificate.empty();
        if (!generates) continue;
        const std::string what = "private CA " + dir;
        const std::string why = tls::obstacle_to_ensure(dir);
        if (why.empty()) return findings.push_back(found(what));
        findings.push_back(
            found(what, State::error, {tls.origin, "no cert_file is given and none could be generated: " + why}));
    }
}

/// What is missing of it is made at the start.
void look_at_state_dir(const config::Config& config, const std::string& state_dir, std::vector<Finding>& findings) {
    const Need need = need_of_state_dir(config);
    if (need == Need::none || need == Need::welcome) return;
    const std::string what = "state directory " + state_dir;
    const std::string file = (fs::path(state_dir) / "file").string();
    const Obstacle obstacle = obstacle_to_writing(file, state_dir);
    if (obstacle.error.empty()) return findings.push_back(found(what));
    const bool is_fatal = need == Need::needed && !obstacle.is_of_this_user;
    findings.push_back(found(what, is_fatal ? State::error : State::warning,
                             {{}, "cannot use the state directory " + state_dir + ": " + obstacle.error}));
}

}  // namespace

std::vector<Finding> look_at_files(const config::Config& config, const PreflightOptions& options) {
    std::vector<Finding> findings;
    const std::string& state_dir = options.state_dir;
    const auto look = [&](const std::string& path, const config::Origin& key, const char* name, const char* file) {
        if (path.empty() || path == "-") return;
        const std::string what = std::string(name) + " " + path;
        const Obstacle obstacle = obstacle_to_writing(path, state_dir);
        if (obstacle.error.empty()) return findings.push_back(found(what));
        const std::string error = std::string("cannot open ") + file + " " + path + ": " + obstacle.error;
        findings.push_back(
            found(what, obstacle.is_of_this_user ? State::warning : State::error, unusable_file(key, error)));
    };
    look_at_state_dir(config, state_dir, findings);
    look(config.log.file, config.log.file_origin, "log.file", "log file");
    look(audit_path(config.audit, state_dir), config.audit.file_origin, "audit.file", "audit file");
    look_at_inventory(config.audit, options, findings);
    look_at_authority(config, state_dir, findings);
    look_at_capture_folder(config.capture, state_dir, findings);
    return findings;
}

std::vector<Finding> look_at_dates(const Snapshot& snapshot, std::vector<config::Diagnostic>& warnings) {
    std::vector<Finding> findings;
    const auto now = std::chrono::system_clock::now();
    for (const InUse& one : certificates_in_use(snapshot)) {
        const tls::Validity valid{.not_before = one.certificate->not_before, .not_after = one.certificate->not_after};
        if (one.use != tls::Use::shown || one.listener.empty()) continue;
        if (valid.not_before <= now && now < valid.not_after) continue;
        const std::string certificate = "certificate " + one.file;
        config::Diagnostic said{.origin = {}, .message = {}};
        const auto is_of_it = [&](const config::Diagnostic& warning) {
            return warning.message.starts_with(certificate + " has expired") ||
                   warning.message.starts_with(certificate + " is not valid yet");
        };
        const auto warning = std::find_if(warnings.begin(), warnings.end(), is_of_it);
        if (warning != warnings.end()) {
            said.origin = std::move(warning->origin);
            warnings.erase(warning);
        }
        said.message = certificate + " " + expiry_text(valid, now) + ". Clients that verify it cannot connect";
        findings.push_back(found(what_for(one) + " " + one.file, State::useless, std::move(said)));
    }
    return findings;
}

std::vector<config::Diagnostic> said(const std::vector<Finding>& findings, Finding::State state) {
    std::vector<config::Diagnostic> all;
    for (const Finding& finding : findings) {
        if (finding.state == state) all.push_back(finding.said);
    }
    return all;
}

}  // namespace proxy::command
