#include "proxy/command/written_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "proxy/capture/capture_windows.hpp"
#include "proxy/inventory/inventory_header.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/line_file.hpp"
#include "tls/authority.hpp"

namespace proxy::command {

namespace {

/// No reason not to serve, nor before a window that nobody has planned.
void look_at_capture_folder(const config::Capture& config, const std::string& state_dir,
                            std::vector<config::Diagnostic>& warnings) {
    const RunningCaptures::Settings settings{.config = config, .state_dir = state_dir, .listeners = {}};
    const auto now = std::chrono::system_clock::now();
    const auto is_to_come = [&](const config::TimeWindow& window) { return window.end > now; };
    if (std::none_of(config.windows.begin(), config.windows.end(), is_to_come)) return;
    const std::string why = CaptureFolder::obstacle(RunningCaptures::dir(settings), config.min_free_space);
    if (!why.empty()) warnings.push_back({config.dir_origin, "capture.windows will not be captured: " + why});
    const std::string left_out = warning_of(order_of(config).filter);
    if (!left_out.empty()) warnings.push_back({config.dir_origin, "capture.windows: " + left_out});
}

/// No reason not to serve: what is seen is not kept, until it can be used.
void look_at_inventory(const config::Audit& audit, const std::string& state_dir,
                       std::vector<config::Diagnostic>& warnings) {
    if (audit.inventory.empty() || PostgresUrl::is_one(audit.inventory)) return;
    const std::string path = audit.inventory.front() == '/' ? audit.inventory : state_dir + "/" + audit.inventory;
    std::string why = obstacle_to_writing(path, state_dir).error;
    if (why.empty()) {
        std::ifstream file(path, std::ios::binary);  // one that is not there is about to be made
        std::array<char, inventory_header_size> beginning{};
        file.read(beginning.data(), beginning.size());
        why = inventory_header_fault(protocol::as_bytes(
            {beginning.data(), static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0))}));
    }
    if (why.empty()) return;
    warnings.push_back(
        {{},
         "audit.inventory: cannot use " + path + ": " + why + ". Clients and what they do would not be remembered"});
}

/// The certificate that a listener without one shows is generated, or issued anew, at the start.
void look_at_authority(const config::Listener& listener, const std::string& state_dir,
                       std::vector<config::Diagnostic>& errors) {
    const config::ListenerTls& tls = listener.tls;
    const bool generates = tls.mode != config::ClientTlsMode::disable && !tls.cert_file && tls.certificate.empty();
    if (!generates) return;
    const std::string why = tls::obstacle_to_ensure(state_dir + "/tls");
    if (!why.empty()) errors.push_back({tls.origin, "no cert_file is given and none could be generated: " + why});
}

void look_at_socket(const config::Address& address, const std::string& state_dir,
                    std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings) {
    if (address.kind != config::Address::Kind::unix_socket) return;
    struct stat file {};
    Obstacle obstacle;
    if (::lstat(address.host.c_str(), &file) == 0) {
        if (!S_ISSOCK(file.st_mode)) obstacle.error = "the file exists and is no socket";
    } else {
        obstacle = obstacle_to_writing(address.host, state_dir);
    }
    if (obstacle.error.empty()) return;
    // A service manager makes what is below /run when it starts the service.
    const bool is_made_later = address.host.starts_with("/run/") || address.host.starts_with("/var/run/");
    (obstacle.is_of_this_user || is_made_later ? warnings : errors)
        .push_back({address.origin, "cannot listen on " + config::to_string(address) + ": " + obstacle.error});
}

}  // namespace

void look_at_written_files(const config::Config& config, const std::string& state_dir,
                           std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings) {
    const auto look = [&](const std::string& path, const config::Origin& key, const char* what) {
        if (path.empty() || path == "-") return;
        const Obstacle obstacle = obstacle_to_writing(path, state_dir);
        if (obstacle.error.empty()) return;
        const std::string error = std::string("cannot open ") + what + " " + path + ": " + obstacle.error;
        (obstacle.is_of_this_user ? warnings : errors).push_back(unusable_file(key, error));
    };
    look(config.log.file, config.log.file_origin, "log file");
    look(audit_path(config.audit, state_dir), config.audit.file_origin, "audit file");
    look_at_inventory(config.audit, state_dir, warnings);
    for (const config::Listener& listener : config.listeners) {
        look_at_authority(listener, state_dir, errors);
        for (const config::Address& address : listener.listen) look_at_socket(address, state_dir, errors, warnings);
    }
    look_at_capture_folder(config.capture, state_dir, warnings);
}

}  // namespace proxy::command
