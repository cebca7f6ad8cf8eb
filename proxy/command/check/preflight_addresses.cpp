#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "config/load.hpp"
#include "proxy/admin/console_path.hpp"
#include "proxy/command/check/preflight.hpp"
#include "proxy/inventory/inventory_reader.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/record/line_file.hpp"
#include "proxy/server/port_holder.hpp"
#include "tls/owned_descriptor.hpp"

namespace proxy::command {
namespace {

using State = Finding::State;

/// What came of an attempt; empty: it went well.
struct Answer {
    std::string error{};
    State state = State::ok;
};

/// Where a pgairlock with this state directory is seen to run.
struct Running {
    std::string by{};          ///< for people; empty: nobody is known
    pid_t pid = 0;             ///< 0: not known
    bool cannot_tell = false;  ///< this user may not look

    /// It listens there, as far as can be seen: who cannot be seen is taken for it.
    bool may_be(const std::vector<PortHolder>& holders) const {
        if (by.empty()) return false;
        const auto is_it = [this](const PortHolder& holder) { return holder.pid == pid; };
        return holders.empty() || pid == 0 || std::any_of(holders.begin(), holders.end(), is_it);
    }
    std::string reason() const { return "not tried: a pgairlock with this state directory is running (" + by + ")"; }
};

/// The addresses that this check has bound itself: not all at a time, so the kernel does not say
/// that two of them are one, by a name or by a wildcard.
class Bound {
   public:
    /// The key of the one that `fd` would meet; empty: there is none.
    std::string add(int fd, const std::string& key) {
        sockaddr_storage name{};
        socklen_t size = sizeof name;
        if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
        const One one = of(name, key);
        const auto met = std::find_if(all_.begin(), all_.end(), [&](const One& other) {
            const bool is_same = one.address == other.address || one.is_any || other.is_any;
            return one.family == other.family && one.port == other.port && is_same;
        });
        if (met != all_.end()) return met->key;
        all_.push_back(one);
        return {};
    }

   private:
    struct One {
        int family = 0;
        std::string address{};
        bool is_any = false;
        in_port_t port = 0;
        std::string key{};
    };
    static One of(const sockaddr_storage& name, const std::string& key) {
        One one{.family = name.ss_family, .key = key};
        if (name.ss_family == AF_INET6) {
            const auto& in6 = reinterpret_cast<const sockaddr_in6&>(name);
            one.address.assign(reinterpret_cast<const char*>(&in6.sin6_addr), sizeof in6.sin6_addr);
            one.port = in6.sin6_port;
        } else {
            const auto& in = reinterpret_cast<const sockaddr_in&>(name);
            one.address.assign(reinterpret_cast<const char*>(&in.sin_addr), sizeof in.sin_addr);
            one.port = in.sin_port;
        }
        one.is_any = one.address.find_first_not_of('\0') == std::string::npos;
        return one;
    }

    std::vector<One> all_;
};

Answer taken(const std::string& error, const std::optional<PortHolder>& by) {
    if (!by) return {error, State::stops};
    return {error + by_whom(by), by->is_service_manager() ? State::skipped : State::stops};
}

/// As a listener does, but for listen(2): so nobody ever connects to it.
Answer try_tcp(const config::Address& address, const std::string& key, const Running& running, Bound& bound) {
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
    if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0) {
        // Port 0 is another one for each.
        const std::string met = address.port == 0 ? std::string() : bound.add(fd.get(), key);
        if (met.empty()) return {};
        return {std::string(std::strerror(EADDRINUSE)) + ", by " + met, State::stops};
    }
    const int error = errno;
    if (error == EADDRINUSE) {
        const std::vector<PortHolder> holders = holders_of(address);
        if (running.may_be(holders)) return {running.reason(), State::skipped};
        return taken(std::strerror(error), holders.empty() ? std::nullopt : std::optional(holders.front()));
    }
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

Running running_with(const config::Config& config, const std::string& state_dir) {
    const std::string& named = config.audit.inventory;
    std::string inventory = inventory_file(state_dir);
    if (!named.empty() && !PostgresUrl::is_one(named)) inventory = (std::filesystem::path(state_dir) / named).string();
    const InventoryUse::Other other = InventoryUse::seen_from_outside(inventory);
    if (other.state == InventoryUse::Other::State::serving)
        return {.by = other.pid > 0 ? "process " + std::to_string(other.pid) : std::string("a process"),
                .pid = other.pid};
    const std::string console = console_path(config.admin, state_dir);
    struct stat file {};
    const bool is_socket = !console.empty() && ::stat(console.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
    std::optional<PortHolder> listener;
    if (is_socket && connect_to_socket(console, &listener) == 0)
        return {.by = "its console answers at " + console, .pid = listener ? listener->pid : 0};
    return {.cannot_tell = ::access(lock_file(inventory).c_str(), R_OK) != 0 && errno == EACCES};
}

/// Of what was tried. `is_needed`: `run` does not go on without it.
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
    Bound bound;
    const auto look = [&](const std::string& key, const config::Address& address, bool is_needed) {
        Finding finding{.what = key + " " + config::to_string(address)};
        const bool is_unix = address.kind == config::Address::Kind::unix_socket;
        // Whoever runs would take the look for a client.
        const Answer answer = !is_unix             ? try_tcp(address, finding.what, running, bound)
                              : running.by.empty() ? try_unix(address.host, options.state_dir)
                                                   : Answer{running.reason(), State::skipped};
        if (answer.error == running.reason()) {
            finding.state = State::skipped;
            finding.said = {address.origin, answer.error};
        } else {
            finding.said = {address.origin, "cannot listen on " + config::to_string(address) + ": "};
            finding = finding_of(std::move(finding), answer, is_needed, running);
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
