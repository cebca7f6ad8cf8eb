#include "proxy/command/written_files.hpp"

#include "proxy/record/audit_file.hpp"
#include "proxy/record/line_file.hpp"

namespace proxy::command {

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
}

}  // namespace proxy::command
