#include "proxy/server/console_socket.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <vector>

#include "proxy/admin/console_path.hpp"
#include "proxy/server/left_sockets.hpp"

namespace proxy {
namespace {

/// The kernel tells who connects; where nobody else may, nobody else need come so far.
bool has_others(const config::Admin& admin) { return !admin.console_uids.empty() || !admin.console_readers.empty(); }

mode_t mode_of(const config::Admin& admin) { return has_others(admin) ? 0666 : 0600; }

/// Only where the configuration says nothing of a console may there be no folder for it.
bool is_default(const config::Admin& admin) { return admin.console == config::Admin{}.console; }

/// Those folders on the way to `path` that not everybody may pass, from the outermost on.
std::vector<std::string> closed_folders(const std::filesystem::path& path) {
    std::vector<std::string> closed;
    std::filesystem::path folder;
    for (const auto& part : path.parent_path()) {
        folder /= part;
        struct stat info {};
        if (::stat(folder.c_str(), &info) == 0 && (info.st_mode & S_IXOTH) == 0) closed.push_back(folder.string());
    }
    return closed;
}

/// Lets those to the socket that may connect now. Changes no folder that somebody else made.
void let_in(const std::string& path, bool is_our_folder, bool others) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    if (is_our_folder && ::chmod(folder.c_str(), others ? 0711 : 0700) != 0)
        spdlog::warn("console: cannot change who may enter {}: {}", folder, std::strerror(errno));
    if (::chmod(path.c_str(), others ? 0666 : 0600) != 0)
        spdlog::warn("console: cannot change who may connect to {}: {}", path, std::strerror(errno));
    if (!others) return;
    for (const std::string& closed : closed_folders(std::filesystem::absolute(path).lexically_normal())) {
        spdlog::warn(
            "console: those whom [admin] names may not get as far as {}: not everybody may pass {}. Set admin.console "
            "to "
            "a socket elsewhere, or: chmod o+x {}",
            path, closed, closed);
    }
}

}  // namespace

ConsoleSocket::ConsoleSocket(asio::io_context& io, ConsoleServices services)
    : io_(io), console_(io.get_executor(), std::move(services)) {}

/// False: the default console has no place, and nobody asked for it.
bool ConsoleSocket::make_folder(const std::string& path, const config::Admin& admin, const std::string& state_dir) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    is_our_folder_ = ::mkdir(folder.c_str(), 0700) == 0;
    const int error = is_our_folder_ ? 0 : errno;
    if (error == EEXIST) {
        struct stat info {};
        is_our_folder_ =
            folder.lexically_normal() == (std::filesystem::path(state_dir) / "console").lexically_normal() &&
            ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
    } else if (error != 0) {
        const std::string why = "cannot make the folder " + folder.string() + ": " + std::strerror(error);
        if (!is_default(admin)) throw std::runtime_error(why);
        spdlog::info("no console: {}", why);
        return false;
    }
    return true;
}

void ConsoleSocket::open(const config::Admin& admin, const std::string& state_dir) noexcept {
    try {
        console_.allow(admin);
        const std::string path = console_path(admin, state_dir);
        if (path.empty() || !make_folder(path, admin, state_dir)) return;
        const config::Address address{
            .kind = config::Address::Kind::unix_socket, .host = path, .port = 0, .origin = admin.console_origin};
        socket_ = std::make_shared<Listener>(io_, bind_listener(address, mode_of(admin)));
        let_in(path, is_our_folder_, has_others(admin));
        socket_->keep_spares(spare_descriptors);
        socket_->serve([this](int fd, const Peer&) { console_.take(fd); });
        path_ = path;
        remove_left_sockets(path_ + ".");
        spdlog::info("console at {}", path);
    } catch (const std::exception& error) {
        spdlog::error("no console: {}", error.what());
    }
}

bool ConsoleSocket::move_aside(const std::string& suffix) noexcept {
    if (!socket_ || path_.empty()) return true;
    try {
        std::string aside = path_ + suffix;
        if (::rename(path_.c_str(), aside.c_str()) != 0) {
            spdlog::error("console: cannot rename {}: {}", path_, std::strerror(errno));
            return false;
        }
        socket_->rename(aside);
        aside_.swap(aside);
        return true;
    } catch (const std::exception& error) {
        spdlog::error("console: {}", error.what());
        return false;
    }
}

void ConsoleSocket::move_back() noexcept {
    if (aside_.empty()) return;
    try {
        if (::rename(aside_.c_str(), path_.c_str()) != 0)
            return spdlog::error("console: cannot rename {}: {}", aside_, std::strerror(errno));
        socket_->rename(path_);
        aside_.clear();
    } catch (const std::exception& error) {
        spdlog::error("console: {}", error.what());
    }
}

void ConsoleSocket::allow(const config::Admin& admin) noexcept {
    try {
        console_.allow(admin);
        if (path_.empty()) return;
        files_.submit(
            [path = path_, ours = is_our_folder_, others = has_others(admin)] {
                let_in(path, ours, others);
                return true;
            },
            [](std::optional<bool>) {});
    } catch (const std::exception& error) {
        spdlog::error("console: {}", error.what());
    }
}

void ConsoleSocket::close() {
    console_.close();
    files_.close();
    if (socket_) socket_->stop();
    socket_.reset();
}

}  // namespace proxy
