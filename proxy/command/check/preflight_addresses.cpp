#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "config/load.hpp"
#include "proxy/admin/console_path.hpp"
#include "proxy/command/check/port_holder.hpp"
#include "proxy/command/check/preflight.hpp"
#include "proxy/inventory/inventory_reader.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/record/line_file.hpp"
#include "tls/owned_descriptor.hpp"

namespace proxy::command {
namespace {

using State = Finding::State;

/// What came of an attempt; empty: it went well.
struct Answer {
    std::string error{};
    State state = State::ok;
};

Answer taken(std::string error, const std::optional<PortHolder>& by) {
    if (!by) return {std::move(error), State::stops};
    error += ", by " + by->name + " (process " + std::to_string(by->pid) + ")";
    return {std::move(error), by->is_service_manager() ? State::skipped : State::stops};
}

/// As a listener does, but for listen(2): so nobody ever connects to it.
Answer try_tcp(const config::Address& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found))
        return {::gai_strerror(error), State::stops};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard(found, ::freeaddrinfo);
    const tls::OwnedDescriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return {std::strerror(errno), State::stops};
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (found->ai_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0) return {};
    const int error = errno;
    if (error == EADDRINUSE) return taken(std::strerror(error), holder_of(address));
    // A port below 1024 may be the service's and not this user's.
    const bool is_of_this_user = error == EACCES || error == EPERM;
    return {std::strerror(error), is_of_this_user ? State::warning : State::stops};
}

/// Whether somebody accepts there: 0, or why not.
int connect_to_socket(const std::string& path, std::optional<PortHolder>* listener = nullptr) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) return ENAMETOOLONG;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    const tls::OwnedDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return errno;
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return errno;
    if (listener) *listener = listener_behind(fd.get());
    return 0;
}

/// A bind would make the file, so it is looked whether one could be made.
Answer try_unix(const std::string& path, const std::string& state_dir) {
    if (path.size() >= sizeof sockaddr_un{}.sun_path)
        return {"the path is too long for a UNIX-domain socket", State::error};
    // A service manager makes what is below /run when it starts the service.
    const bool is_made_later = path.starts_with("/run/") || path.starts_with("/var/run/");
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0) {
        const Obstacle obstacle = obstacle_to_writing(path, state_dir);
        if (obstacle.error.empty()) return {};
        return {obstacle.error, obstacle.is_of_this_user || is_made_later ? State::warning : State::error};
    }
    if (!S_ISSOCK(file.st_mode)) return {"the file exists and is no socket", State::error};
    std::optional<PortHolder> listener;
    const int error = connect_to_socket(path, &listener);
    if (error == ECONNREFUSED) return {};  // left over from a process that was killed: it is replaced
    if (error == 0 || error == EAGAIN) return taken("another process is listening there", listener);
    const bool is_of_this_user = error == EACCES || error == EPERM;
    return {std::string("cannot tell whether it is in use: ") + std::strerror(error),
            is_of_this_user ? State::warning : State::stops};
}

Answer try_address(const config::Address& address, const std::string& state_dir) {
    return address.kind == config::Address::Kind::unix_socket ? try_unix(address.host, state_dir) : try_tcp(address);
}

/// Whether a pgairlock has this state directory now.
struct Running {
    std::string by{};          ///< for people; empty: nobody is known
    bool cannot_tell = false;  ///< this user may not look
};

Running running_with(const config::Config& config, const std::string& state_dir) {
    const std::string& named = config.audit.inventory;
    std::string inventory = inventory_file(state_dir);
    if (!named.empty() && !PostgresUrl::is_one(named)) inventory = (std::filesystem::path(state_dir) / named).string();
    const InventoryUse::Other other = InventoryUse::seen_from_outside(inventory);
    if (other.state == InventoryUse::Other::State::serving)
        return {.by = other.pid > 0 ? "process " + std::to_string(other.pid) : std::string("a process")};
    const std::string console = console_path(config.admin, state_dir);
    struct stat file {};
    const bool is_socket = !console.empty() && ::stat(console.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
    if (is_socket && connect_to_socket(console) == 0) return {.by = "its console answers at " + console};
    return {.cannot_tell = ::access(lock_file(inventory).c_str(), R_OK) != 0 && errno == EACCES};
}

/// Of what was tried: `is_needed`: `run` does not go on without it.
Finding finding_of(Finding finding, Answer answer, bool is_needed, const Running& running) {
    if (answer.state == State::ok) return finding;
    const bool is_fault = answer.state == State::stops || answer.state == State::error;
    finding.state = is_fault && !is_needed ? State::warning : answer.state;
    if (answer.state == State::stops && running.cannot_tell) {
        finding.state = State::warning;
        answer.error += ". Whether that is the pgairlock with this state directory, this user may not see";
    }
    if (answer.state == State::skipped) answer.error += ": as it does where a socket unit is to pass it";
    finding.said.message += answer.error;
    return finding;
}

}  // namespace

std::vector<Finding> look_at_addresses(const Snapshot& snapshot, const PreflightOptions& options) {
    std::vector<Finding> findings;
    if (!options.with_addresses) return findings;
    const config::Config& config = snapshot.config;
    const Running running = running_with(config, options.state_dir);
    const auto look = [&](const std::string& key, const config::Address& address, bool is_needed) {
        Finding finding{.what = key + " " + config::to_string(address)};
        if (!running.by.empty()) {
            finding.state = State::skipped;
            finding.said = {address.origin,
                            "not tried: a pgairlock with this state directory is running (" + running.by + ")"};
        } else {
            finding.said = {address.origin, "cannot listen on " + config::to_string(address) + ": "};
            finding = finding_of(std::move(finding), try_address(address, options.state_dir), is_needed, running);
        }
        findings.push_back(std::move(finding));
    };
    for (const auto& listener : snapshot.listeners) {
        for (const config::Address& address : listener->settings.listen) look("listener.listen", address, true);
    }
    if (auto http = config::parse_address(config.admin.http)) {
        http->origin = config.admin.http_origin;
        look("admin.http", *http, false);
    }
    if (const std::string console = console_path(config.admin, options.state_dir); !console.empty()) {
        // Its folder is made as well, where that lacks nothing but itself.
        const std::string folder = std::filesystem::path(console).parent_path().string();
        struct stat there {};
        const bool is_there = ::stat(folder.c_str(), &there) == 0;
        const config::Address address{.kind = config::Address::Kind::unix_socket,
                                      .host = is_there ? console : folder,
                                      .port = 0,
                                      .origin = config.admin.console_origin};
        look("admin.console", address, false);
        findings.back().what = "admin.console unix:" + console;
        // Nobody asked for the default one.
        const bool is_default = config.admin.console == config::Admin{}.console;
        if (is_default && findings.back().state == State::warning) findings.back().state = State::skipped;
    }
    return findings;
}

}  // namespace proxy::command
