#include "proxy/alert/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// More of what it writes is read and thrown away.
constexpr std::size_t max_output = 4096;
constexpr std::size_t max_told = 200;

class Pipe {
   public:
    Pipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close(0);
        close(1);
    }
    int end(int which) const noexcept { return ends_[static_cast<std::size_t>(which)]; }
    void close(int which) noexcept {
        int& fd = ends_[static_cast<std::size_t>(which)];
        if (fd >= 0) ::close(std::exchange(fd, -1));
    }

   private:
    std::array<int, 2> ends_{-1, -1};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));  // posix_spawn writes none
    all.push_back(nullptr);
    return all;
}

/// What posix_spawn is told, freed at the end.
class Spawn {
   public:
    Spawn() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
    }
    Spawn(const Spawn&) = delete;
    Spawn& operator=(const Spawn&) = delete;
    ~Spawn() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    /// 0, or an errno.
    int run(const ChildOrder& order, int input, int output, pid_t& pid) {
        ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
        // Each of ours is closed by exec; this is for those of libraries.
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        ::posix_spawn_file_actions_addchdir_np(&actions_, "/");
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);  // ours ignores SIGPIPE, which would be inherited
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        const auto arguments = pointers(order.command), environment = pointers(order.environment);
        return ::posix_spawn(&pid, order.command.front().c_str(), &actions_, &attributes_, arguments.data(),
                             environment.data());
    }

   private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

void unblock(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// Moves what can be moved now; false: the pipe is done with.
bool feed(int fd, std::string_view& input) {
    while (!input.empty()) {
        const ssize_t n = ::write(fd, input.data(), input.size());
        if (n < 0) return errno == EAGAIN || errno == EINTR;  // EPIPE: it wants no more
        input.remove_prefix(static_cast<std::size_t>(n));
    }
    return false;
}

bool drain(int fd, std::string& output) {
    std::array<char, 4096> piece;
    for (;;) {
        const ssize_t n = ::read(fd, piece.data(), piece.size());
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
        output.append(piece.data(), std::min(static_cast<std::size_t>(n), max_output - output.size()));
    }
}

/// nullopt: it goes on.
std::optional<int> ended(pid_t pid) {
    int status = 0;
    return ::waitpid(pid, &status, WNOHANG) == pid ? std::optional(status) : std::nullopt;
}

AttemptResult judge(int status, const std::string& output) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {.end = AttemptResult::End::sent, .what = "exit 0"};
    std::string what = WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                                         : "ended by signal " + std::to_string(WTERMSIG(status));
    const std::string line = protocol::printable(protocol::as_utf8(output.substr(0, output.find('\n')), max_told));
    if (!line.empty()) what += ": " + line;
    return {.what = std::move(what)};
}

/// With all that it has started, and waited for: nothing keeps it from ending.
void kill_group(pid_t pid) {
    ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace

AttemptResult run_child(const ChildOrder& order, const Attempt& attempt) {
    Pipe in, out;
    if (in.end(0) < 0 || out.end(0) < 0) return {.what = std::strerror(EMFILE)};
    pid_t pid = 0;
    if (const int error = Spawn().run(order, in.end(0), out.end(1), pid); error != 0)
        return {.what = std::strerror(error)};
    in.close(0);
    out.close(1);
    unblock(in.end(1));
    unblock(out.end(0));
    std::string_view input = order.input;
    std::string output;
    for (;;) {
        if (in.end(1) >= 0 && !feed(in.end(1), input)) in.close(1);
        if (out.end(0) >= 0 && !drain(out.end(0), output)) out.close(0);
        if (const auto status = ended(pid)) {
            if (out.end(0) >= 0) drain(out.end(0), output);
            return judge(*status, output);
        }
        if (attempt.is_over()) {
            kill_group(pid);
            return {.what = attempt.stop ? "ended" : "not done in time, and killed"};
        }
        std::array<pollfd, 2> ends{pollfd{.fd = in.end(1), .events = POLLOUT, .revents = 0},
                                   pollfd{.fd = out.end(0), .events = POLLIN, .revents = 0}};
        ::poll(ends.data(), ends.size(), attempt.poll_time());
    }
}

}  // namespace proxy
