#include "proxy/server/file_watch.hpp"

#include <utility>

namespace proxy {

FileWatch::FileWatch(const std::vector<std::string>& files, const config::FileStates& read) {
    for (const std::string& path : files) {
        const auto found = read.find(path);
        files_[path] = found == read.end() ? std::nullopt : std::optional(found->second);
    }
}

bool FileWatch::changed() {
    bool moved = false;
    for (auto& [path, seen] : files_) {
        if (!seen) {
            seen = config::look_at_file(path, config::FileKind::certificate);
            continue;
        }
        if (config::file_stamp(path) == seen->stamp) continue;
        config::FileState now = config::look_at_file(path, seen->kind);
        moved = moved || now.content != seen->content;
        seen = std::move(now);
    }
    if (moved) {
        pending_ = true;
        return false;
    }
    return std::exchange(pending_, false);
}

}  // namespace proxy
