#include "proxy/observation/process_owner.hpp"

#include <dirent.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <new>
#include <sstream>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// More are connections in a wave; those beyond it are known by user alone.
constexpr std::size_t max_searches = 256;
constexpr std::size_t max_known = 64;
/// After max_failures unsuccessful searches in a row, processes of that user are not searched for
/// pause_factor times the last search's duration: on processes that we may not look into no more
/// than a fiftieth of a core is spent.
constexpr unsigned max_failures = 3;
constexpr int pause_factor = 50;

struct SocketOwner {
    uid_t uid = 0;
    std::uint32_t inode = 0;
};

using Endpoint = ProcessOwners::Endpoint;

std::optional<Endpoint> endpoint(const sockaddr_storage& storage) {
    Endpoint out;
    if (storage.ss_family == AF_INET) {
        const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
        std::memcpy(out.address.data(), &in.sin_addr, 4);
        out.port = in.sin_port;
        return out;
    }
    if (storage.ss_family != AF_INET6) return std::nullopt;
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    out.port = in6.sin6_port;
    // A v4 client of a v6 socket has a v4 socket of its own.
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        std::memcpy(out.address.data(), in6.sin6_addr.s6_addr + 12, 4);
        return out;
    }
    out.v4 = false;
    std::memcpy(out.address.data(), &in6.sin6_addr, 16);
    return out;
}

/// The socket whose own address is `from` and whose peer is `to` (sock_diag(7)).
std::optional<SocketOwner> ask_kernel(int fd, const Endpoint& from, const Endpoint& to) {
    struct Request {
        nlmsghdr header{};
        inet_diag_req_v2 query{};
    } request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.query.sdiag_family = from.v4 ? AF_INET : AF_INET6;
    request.query.sdiag_protocol = IPPROTO_TCP;
    request.query.idiag_states = ~0U;
    request.query.id.idiag_sport = from.port;
    request.query.id.idiag_dport = to.port;
    std::memcpy(request.query.id.idiag_src, from.address.data(), 16);
    std::memcpy(request.query.id.idiag_dst, to.address.data(), 16);
    request.query.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    request.query.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

    if (fd < 0 || ::send(fd, &request, sizeof request, 0) != sizeof request) return std::nullopt;
    alignas(nlmsghdr) std::array<char, 4096> reply;
    const ssize_t size = ::recv(fd, reply.data(), reply.size(), 0);
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (size < 0 || !NLMSG_OK(header, static_cast<unsigned>(size)) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return std::nullopt;
    inet_diag_msg answer{};
    std::memcpy(&answer, NLMSG_DATA(header), sizeof answer);
    // A socket that was closed has inode 0 and then uid 0, which is not root's.
    if (answer.idiag_inode == 0) return std::nullopt;
    return SocketOwner{.uid = answer.idiag_uid, .inode = answer.idiag_inode};
}

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

bool is_number(const char* text) { return std::isdigit(static_cast<unsigned char>(*text)) != 0; }

/// The inodes of a process's sockets, until `visit` says that it is enough. The descriptors that
/// were opened last come first, more or less: a process takes the lowest number that is free.
template <class Visit>
void visit_sockets(pid_t pid, Visit visit) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    const Directory directory(::opendir(folder.c_str()));
    if (!directory) return;
    std::vector<int> descriptors;
    while (const dirent* entry = ::readdir(directory.get())) {
        if (is_number(entry->d_name)) descriptors.push_back(static_cast<int>(std::strtol(entry->d_name, nullptr, 10)));
    }
    constexpr std::string_view prefix = "socket:[";
    std::array<char, 64> target;
    for (auto fd = descriptors.rbegin(); fd != descriptors.rend(); ++fd) {
        const ssize_t n =
            ::readlinkat(::dirfd(directory.get()), std::to_string(*fd).c_str(), target.data(), target.size() - 1);
        if (n <= 0 || !std::string_view(target.data(), static_cast<std::size_t>(n)).starts_with(prefix)) continue;
        target[static_cast<std::size_t>(n)] = '\0';
        if (!visit(static_cast<std::uint32_t>(std::strtoul(target.data() + prefix.size(), nullptr, 10)))) break;
    }
}

std::string executable(pid_t pid) {
    std::array<char, 4096> path;
    const ssize_t n = ::readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), path.data(), path.size());
    return n > 0 ? protocol::as_utf8({path.data(), static_cast<std::size_t>(n)}) : std::string();
}

std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    const Directory directory(::opendir("/proc"));
    if (!directory) return pids;
    while (const dirent* entry = ::readdir(directory.get())) {
        if (is_number(entry->d_name)) pids.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
    }
    std::reverse(pids.begin(), pids.end());  // the youngest first: they are the ones that connect
    return pids;
}

}  // namespace

/// The kernel asks for CAP_SYS_PTRACE whoever reads another user's descriptors
/// (ptrace_may_access, proc(5)), root as well; a mount of /proc with `hidepid` asks for it to see
/// the process at all. Process 1 is there wherever anything is seen.
std::string processes_hidden_because(const std::string& proc) {
    constexpr unsigned cap_sys_ptrace = 19;  // linux/capability.h
    std::ifstream status(proc + "/self/status");
    for (std::string line; std::getline(status, line);) {
        constexpr std::string_view effective = "CapEff:";
        if (!line.starts_with(effective)) continue;
        const auto capabilities = std::strtoull(line.c_str() + effective.size(), nullptr, 16);
        if ((capabilities >> cap_sys_ptrace & 1U) == 0) return "it has no CAP_SYS_PTRACE";
        if (::access((proc + "/1").c_str(), F_OK) != 0) return "/proc does not show them (hidepid, ProtectProc)";
    }
    return {};
}

/// The kernel counts in ticks since it was booted, rounded down (proc_pid_stat(5), field 22). Which
/// clock is read first makes it earlier, and never later, than it was.
std::chrono::steady_clock::time_point started_at(pid_t pid, const std::string& proc) {
    std::ifstream file(proc + "/" + std::to_string(pid) + "/stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    const std::size_t name_ends = stat.rfind(')');
    const long ticks_per_second = ::sysconf(_SC_CLK_TCK);
    if (name_ends == std::string::npos || ticks_per_second <= 0) return {};
    std::istringstream fields(stat.substr(name_ends + 1));
    std::string skipped;
    constexpr int first = 3, wanted = 22;
    for (int field = first; field < wanted; ++field) fields >> skipped;
    std::int64_t ticks = 0;
    if (!(fields >> ticks)) return {};
    const auto now = std::chrono::steady_clock::now();
    timespec since_boot{};
    if (::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return {};
    const auto booted = std::chrono::seconds(since_boot.tv_sec) + std::chrono::nanoseconds(since_boot.tv_nsec);
    const auto began = std::chrono::nanoseconds(ticks * (1'000'000'000 / ticks_per_second));
    return now - std::chrono::duration_cast<std::chrono::steady_clock::duration>(booted - began);
}

Process ProcessOwner::get(std::chrono::milliseconds patience) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return done_; });
    return process_;
}

bool ProcessOwner::is_done() const {
    const std::lock_guard lock(mutex_);
    return done_;
}

void ProcessOwner::found(pid_t pid, std::string exe, std::chrono::steady_clock::time_point started) {
    {
        const std::lock_guard lock(mutex_);
        process_.pid = pid;
        process_.exe = std::move(exe);
        process_.started = started;
        done_ = true;
    }
    changed_.notify_all();
}

ProcessOwners::ProcessOwners(bool enabled) : enabled_(enabled) {
    if (!enabled_) return;
    diag_fd_ = ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    thread_ = std::thread([this] { search_loop(); });
}

ProcessOwners::~ProcessOwners() {
    if (!enabled_) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    if (diag_fd_ >= 0) ::close(diag_fd_);
}

std::shared_ptr<const ProcessOwner> ProcessOwners::owner_of(int fd) {
    if (!enabled_) return nullptr;
    sockaddr_storage peer{};
    sockaddr_storage own{};
    socklen_t peer_size = sizeof peer;
    socklen_t own_size = sizeof own;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return nullptr;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return nullptr;
    if (own.ss_family == AF_UNIX) {
        ucred credentials{};
        socklen_t size = sizeof credentials;
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || credentials.pid <= 0) return nullptr;
        return std::make_shared<ProcessOwner>(Process{.uid = credentials.uid,
                                                      .pid = credentials.pid,
                                                      .exe = executable(credentials.pid),
                                                      .started = started_at(credentials.pid)},
                                              true);
    }
    const auto from = endpoint(peer);
    const auto to = endpoint(own);
    if (!from || !to || from->v4 != to->v4) return nullptr;
    std::optional<SocketOwner> socket;
    {
        const std::lock_guard lock(diag_mutex_);
        socket = ask_kernel(diag_fd_, *from, *to);
    }
    if (!socket) return nullptr;
    const Process process{.uid = socket->uid, .pid = 0, .exe = {}, .started = {}};
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() < max_searches) {
            auto owner = std::make_shared<ProcessOwner>(process, false);
            queue_.push_back({.owner = owner, .inode = socket->inode, .uid = socket->uid, .from = *from, .to = *to});
            wake_.notify_one();
            return owner;
        }
    }
    return std::make_shared<ProcessOwner>(process, true);
}

void ProcessOwners::search_loop() {
    for (;;) {
        std::vector<Search> searches;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return !queue_.empty() || stop_; });
            if (stop_) return;
            searches.swap(queue_);
        }
        try {
            search(searches);
        } catch (const std::bad_alloc&) {
            for (const Search& given_up : searches) {
                if (!given_up.owner->is_done()) given_up.owner->found(0, {});
            }
        }
    }
}

/// Together, because a process that opens many connections at once has many descriptors to look at.
void ProcessOwners::search(const std::vector<Search>& searches) {
    std::map<std::uint32_t, Search> wanted;
    for (const Search& search : searches) {
        const bool is_new = wanted.try_emplace(search.inode, search).second;
        if (!is_new) search.owner->found(0, {});  // one of the two is over, and nobody knows which
    }
    for (const pid_t pid : std::vector<pid_t>(known_)) {
        if (wanted.empty()) return;
        look_into(pid, wanted);
    }
    const auto begin = std::chrono::steady_clock::now();
    // Of a connection that is over nobody owns the socket any more, and to look for it would cost
    // more than the connection did.
    const auto give_up = [&](const auto& entry) {
        const Search& search = entry.second;
        if (begin >= hidden_[search.uid].until && is_open(search)) return false;
        search.owner->found(0, {});
        return true;
    };
    std::erase_if(wanted, give_up);
    if (wanted.empty()) return;
    const std::vector<pid_t> known = known_;
    for (const pid_t pid : all_processes()) {
        if (wanted.empty()) return;
        if (std::find(known.begin(), known.end(), pid) == known.end()) look_into(pid, wanted);
    }
    std::erase_if(wanted, give_up);
    const auto end = std::chrono::steady_clock::now();
    for (const auto& [inode, search] : wanted) {
        Hidden& hidden = hidden_[search.uid];
        if (++hidden.failures >= max_failures) hidden.until = end + pause_factor * (end - begin);
        search.owner->found(0, {});
    }
}

bool ProcessOwners::is_open(const Search& search) {
    const std::lock_guard lock(diag_mutex_);
    const auto socket = ask_kernel(diag_fd_, search.from, search.to);
    return socket && socket->inode == search.inode;
}

/// Settles and removes what this process owns.
void ProcessOwners::look_into(pid_t pid, std::map<std::uint32_t, Search>& wanted) {
    std::string exe;
    std::chrono::steady_clock::time_point started{};
    visit_sockets(pid, [&](std::uint32_t inode) {
        const auto found = wanted.find(inode);
        if (found == wanted.end()) return true;
        if (exe.empty()) {
            exe = executable(pid);
            started = started_at(pid);
        }
        found->second.owner->found(pid, exe, started);
        hidden_.erase(found->second.uid);
        wanted.erase(found);
        return !wanted.empty();
    });
    if (exe.empty()) return;
    known_.erase(std::remove(known_.begin(), known_.end(), pid), known_.end());
    known_.insert(known_.begin(), pid);
    if (known_.size() > max_known) known_.pop_back();
}

}  // namespace proxy
