#include "proxy/server/listening_sockets.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "proxy/upstream/resolver.hpp"

namespace proxy {
namespace {

tls::OwnedDescriptor copy_of(int fd, const std::string& address) {
    tls::OwnedDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) throw std::runtime_error("cannot hand over " + address + ": " + std::strerror(errno));
    return copy;
}

}  // namespace

ListeningSockets::ListeningSockets(asio::io_context& io, OnAccept on_accept, const std::vector<int>& inherited,
                                   std::vector<Passed> passed)
    : io_(io), on_accept_(std::move(on_accept)), passed_(std::move(passed)) {
    for (const int fd : inherited) {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
        inherited_[to_string(asio::generic::stream_protocol::endpoint(&storage, size))] = fd;
    }
}

ListeningSockets::~ListeningSockets() { stop(); }

ListeningSockets::Prepared ListeningSockets::prepare(const Snapshot& snapshot) {
    Prepared left = open_;
    Prepared prepared;
    for (const std::shared_ptr<const ListenerRoute>& route : snapshot.listeners) {
        for (const config::Address& address : route->settings.listen) {
            auto open = std::make_shared<Open>(Open{config::to_string(address), route, nullptr, {}});
            const auto same = std::find_if(left.begin(), left.end(), [&](const std::shared_ptr<Open>& other) {
                return other->configured == open->configured;
            });
            if (same != left.end()) {
                open->socket = (*same)->socket;
                left.erase(same);  // several may be configured alike: port 0
            } else {
                const std::size_t before = passed_.size();
                open->socket = std::make_shared<Listener>(io_, inherit_or_bind(address));
                const bool was_passed = passed_.size() < before;
                if (was_passed && address.kind == config::Address::Kind::unix_socket) open->file = address.host;
            }
            prepared.push_back(std::move(open));
        }
    }
    return prepared;
}

ListeningSockets::Prepared ListeningSockets::use(Prepared prepared) {
    const Prepared before = std::exchange(open_, std::move(prepared));
    const auto is_in = [](const Prepared& list, const std::shared_ptr<Open>& open) {
        return std::any_of(list.begin(), list.end(),
                           [&](const std::shared_ptr<Open>& other) { return other->socket == open->socket; });
    };
    Prepared opened;
    for (const std::shared_ptr<Open>& open : open_) {
        open->socket->leave_descriptors(left_descriptors);
        // Those that stay as well: their route is the new snapshot's.
        open->socket->serve([this, open = open.get()](int fd, const Peer& peer) { on_accept_(open->route, fd, peer); });
        if (!is_in(before, open)) opened.push_back(open);
    }
    for (const std::shared_ptr<Open>& open : before) {
        if (is_in(open_, open)) continue;
        open->socket->stop();
        if (inherited_.contains(open->configured)) {
            spdlog::warn(
                "no longer listening on {}: its sessions go on. The service manager, which passed it, still listens: "
                "who connects waits for nobody until its socket unit is changed too",
                open->socket->address());
        } else {
            spdlog::info("no longer listening on {}: its sessions go on", open->socket->address());
        }
    }
    if (before.empty()) close_what_is_not_named();
    return opened;
}

void ListeningSockets::take_over() {
    for (const std::shared_ptr<Open>& open : open_) {
        if (!open->file.empty()) open->socket->rename(std::exchange(open->file, {}));
    }
    for (const Passed& one : std::exchange(passed_, {})) {
        constexpr std::string_view scheme = "unix:";
        if (one.configured.starts_with(scheme)) ::unlink(one.configured.substr(scheme.size()).c_str());
        spdlog::info("no longer listening on {}, which no listener names any more", one.configured);
    }
}

void ListeningSockets::stop() {
    for (const std::shared_ptr<Open>& open : open_) open->socket->stop();
    open_.clear();
    for (const auto& [address, fd] : inherited_) ::close(fd);
    inherited_.clear();
    passed_.clear();
}

void ListeningSockets::leave_to_another() {
    for (const std::shared_ptr<Open>& open : open_) open->socket->leave_to_another();
    stop();
}

std::set<std::string> ListeningSockets::addresses() const {
    std::set<std::string> all;
    for (const std::shared_ptr<Open>& open : open_) all.insert(open->socket->address());
    return all;
}

std::vector<ListeningSockets::Passed> ListeningSockets::own() const {
    std::vector<Passed> copies;
    for (const std::shared_ptr<Open>& open : open_) {
        if (inherited_.contains(open->configured)) continue;
        copies.push_back({open->configured, copy_of(open->socket->descriptor(), open->configured)});
    }
    return copies;
}

std::vector<ListeningSockets::Passed> ListeningSockets::of_service_manager() const {
    std::vector<Passed> copies;
    for (const auto& [address, fd] : inherited_) copies.push_back({address, copy_of(fd, address)});
    return copies;
}

BoundSocket ListeningSockets::inherit_or_bind(const config::Address& address) {
    const std::string name = config::to_string(address);
    const auto passed =
        std::find_if(passed_.begin(), passed_.end(), [&](const Passed& one) { return one.configured == name; });
    if (passed != passed_.end()) {
        const int fd = ::fcntl(passed->descriptor.get(), F_DUPFD_CLOEXEC, 0);
        passed_.erase(passed);  // several may be configured alike: port 0
        return inherited_listener(address, fd);
    }
    const auto found = inherited_.find(name);
    if (found == inherited_.end()) return bind_listener(address);
    // Ours stays: a reload that removes the address may be followed by one that names it again, and
    // one that fails changes nothing.
    const int fd = ::fcntl(found->second, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        throw std::runtime_error("cannot listen on " + config::to_string(address) + ": " + std::strerror(errno));
    // A path that somebody else made is not ours to remove.
    return {.fd = fd, .address = found->first, .unix_path = {}};
}

void ListeningSockets::close_what_is_not_named() {
    std::erase_if(inherited_, [&](const auto& one) {
        const auto& [address, fd] = one;
        const bool is_named = std::any_of(open_.begin(), open_.end(),
                                          [&, name = address](const auto& open) { return open->configured == name; });
        if (is_named) return false;
        spdlog::warn("socket activation passed {}, which no listener names: closed", address);
        ::close(fd);
        return true;
    });
}

}  // namespace proxy
