// Who is at the other end of a connection that comes from this host: its user at once, its process
// a little later.
//
// The user comes from the kernel by the connection's own addresses (sock_diag, unprivileged,
// microseconds) or from SO_PEERCRED. The process is found by looking through /proc for the
// descriptor, which takes up to 100 ms and the same user or CAP_SYS_PTRACE, so it is done
// elsewhere. Whatever cannot be known (another network namespace, no permission, a client that is
// gone) stays unknown: never a guess.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace proxy {

/// A process, as far as it is known.
struct Process {
    uid_t uid = 0;
    pid_t pid = 0;    ///< 0: not known
    std::string exe;  ///< path of the executable, in UTF-8; empty: not known
    /// When it began, at the latest 10 ms later; the clock's beginning: not known.
    std::chrono::steady_clock::time_point started{};
};

/// As `Process` has it. `proc`: as proc(5) is mounted.
std::chrono::steady_clock::time_point started_at(pid_t pid, const std::string& proc = "/proc");

/// Why processes of other users cannot be looked into; empty: they can, or nobody knows. `proc`: as
/// proc(5) is mounted.
std::string processes_hidden_because(const std::string& proc = "/proc");

/// A process that is being looked for. Shared by a session's events and the thread that looks.
class ProcessOwner {
   public:
    explicit ProcessOwner(Process process, bool done) : process_(std::move(process)), done_(done) {}

    /// The search is over.
    bool is_done() const;
    /// Waits for the search to end, at most `patience`; gives what is known by then.
    Process get(std::chrono::milliseconds patience) const;
    void found(pid_t pid, std::string exe, std::chrono::steady_clock::time_point started = {});

   private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Process process_;
    bool done_;
};

/// Finds owners. One thread looks through /proc; processes that were found before are looked at
/// first.
class ProcessOwners {
   public:
    /// `enabled` false: owner_of() always gives nullptr.
    explicit ProcessOwners(bool enabled);
    ~ProcessOwners();

    /// The owner of the peer of a connected socket; nullptr: the peer is not of this host, or the
    /// kernel does not know it (any more). To be called right after accept: a socket that was
    /// closed meanwhile has no owner left. Takes microseconds; from any thread.
    std::shared_ptr<const ProcessOwner> owner_of(int fd);

    /// Of a TCP socket, as sock_diag(7) has it.
    struct Endpoint {
        bool v4 = true;
        std::array<std::uint8_t, 16> address{};
        std::uint16_t port = 0;  // network byte order
    };

   private:
    struct Search {
        std::shared_ptr<ProcessOwner> owner;
        std::uint32_t inode = 0;
        uid_t uid = 0;
        Endpoint from;
        Endpoint to;
    };

    void search_loop();
    void search(const std::vector<Search>& searches);
    bool is_open(const Search& search);
    void look_into(pid_t pid, std::map<std::uint32_t, Search>& wanted);

    const bool enabled_;
    std::mutex diag_mutex_;  // a question and its answer belong together, and take microseconds
    int diag_fd_ = -1;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Search> queue_;
    bool stop_ = false;
    // The search thread's:
    std::vector<pid_t> known_;  // where descriptors were found, the latest first
    /// Users whose processes we may not look into: left alone for a while.
    struct Hidden {
        unsigned failures = 0;
        std::chrono::steady_clock::time_point until{};
    };
    std::map<uid_t, Hidden> hidden_;
    std::thread thread_;
};

}  // namespace proxy
