#include "proxy/server/console_socket.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "proxy/admin/console_path.hpp"

namespace proxy {
namespace {

/// The kernel tells who connects; where nobody else may, nobody else need come so far.
bool has_others(const config::Admin& admin) { return !admin.console_uids.empty() || !admin.console_readers.empty(); }

mode_t mode_of(const config::Admin& admin) { return has_others(admin) ? 0666 : 0600; }

void make_folder(const std::string& path, const config::Admin& admin) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    if (::mkdir(folder.c_str(), 0700) == 0) {
        if (has_others(admin)) ::chmod(folder.c_str(), 0711);
    } else if (errno != EEXIST) {
        throw std::runtime_error("cannot make the folder " + folder + ": " + std::strerror(errno));
    }
}

}  // namespace

ConsoleSocket::ConsoleSocket(asio::io_context& io, CaptureControl captures)
    : io_(io), console_(io.get_executor(), std::move(captures)) {}

void ConsoleSocket::open(const config::Admin& admin, const std::string& state_dir) noexcept {
    try {
        console_.allow(admin);
        const std::string path = console_path(admin, state_dir);
        if (path.empty()) return;
        make_folder(path, admin);
        const config::Address address{
            .kind = config::Address::Kind::unix_socket, .host = path, .port = 0, .origin = admin.console_origin};
        socket_ = std::make_shared<Listener>(io_, bind_listener(address, mode_of(admin)));
        socket_->serve([this](int fd, const Peer&) { console_.take(fd); });
        path_ = path;
        spdlog::info("console at {}", path);
    } catch (const std::exception& error) {
        spdlog::error("no console: {}", error.what());
    }
}

void ConsoleSocket::allow(const config::Admin& admin) noexcept {
    try {
        console_.allow(admin);
        if (path_.empty() || ::chmod(path_.c_str(), mode_of(admin)) == 0) return;
        spdlog::warn("console: cannot change who may connect to {}: {}", path_, std::strerror(errno));
    } catch (const std::exception& error) {
        spdlog::error("console: {}", error.what());
    }
}

void ConsoleSocket::close() {
    console_.close();
    if (socket_) socket_->stop();
    socket_.reset();
}

}  // namespace proxy
