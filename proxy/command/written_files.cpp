#include "proxy/command/written_files.hpp"

#include <algorithm>

#include "proxy/capture/capture_windows.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/line_file.hpp"

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
    look_at_capture_folder(config.capture, state_dir, warnings);
}

}  // namespace proxy::command
