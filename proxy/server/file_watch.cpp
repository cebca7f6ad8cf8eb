#include "proxy/server/file_watch.hpp"

#include <sys/stat.h>

#include "config/file.hpp"
#include "tls/certificates.hpp"

namespace proxy {
namespace {

std::string stamp_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return "missing";
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) + ":" + std::to_string(info.st_size) + ":" +
           std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

/// Of what cannot be read: why.
std::string content_of(const std::string& path) {
    std::vector<config::Diagnostic> errors;
    const auto bytes = config::read_file({.path = path, .origin = {}}, config::FileKind::certificate, errors);
    return bytes ? tls::sha256_hex(bytes->data(), bytes->size()) : errors.front().message;
}

}  // namespace

FileWatch::FileWatch(const std::vector<std::string>& files) {
    for (const std::string& path : files) files_[path] = {.stamp = stamp_of(path), .content = content_of(path)};
}

bool FileWatch::changed() {
    bool moved = false;
    for (auto& [path, seen] : files_) {
        std::string stamp = stamp_of(path);
        if (stamp == seen.stamp) continue;
        seen.stamp = std::move(stamp);
        std::string content = content_of(path);
        if (content == seen.content) continue;
        seen.content = std::move(content);
        moved = true;
    }
    if (moved) {
        pending_ = true;
        return false;
    }
    return std::exchange(pending_, false);
}

}  // namespace proxy
