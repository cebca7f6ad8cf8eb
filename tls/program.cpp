#include "tls/program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

extern char** environ;  // NOLINT: POSIX

namespace tls {
namespace {

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
    int run(const ProgramOrder& order, pid_t& pid) {
        if (order.input >= 0) {
            ::posix_spawn_file_actions_adddup2(&actions_, order.input, STDIN_FILENO);
        } else {
            ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        }
        if (order.output >= 0) ::posix_spawn_file_actions_adddup2(&actions_, order.output, STDOUT_FILENO);
        if (order.errors >= 0) ::posix_spawn_file_actions_adddup2(&actions_, order.errors, STDERR_FILENO);
        // Each of ours is closed by exec; this is for those of libraries.
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        if (!order.folder.empty()) ::posix_spawn_file_actions_addchdir_np(&actions_, order.folder.c_str());
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);  // ours ignores SIGPIPE, which would be inherited
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        const auto arguments = pointers(order.command);
        std::vector<char*> environment;
        if (order.environment) environment = pointers(*order.environment);
        return ::posix_spawn(&pid, order.command.front().c_str(), &actions_, &attributes_, arguments.data(),
                             order.environment ? environment.data() : environ);
    }

   private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

}  // namespace

Program::Program(const ProgramOrder& order) {
    if (const int error = Spawn().run(order, pid_); error != 0) throw std::system_error(error, std::generic_category());
}

std::optional<Program::End> Program::ended() noexcept {
    if (end_) return end_;
    int status = 0;
    const pid_t found = ::waitpid(pid_, &status, WNOHANG);
    if (found < 0 && errno == ECHILD) {
        end_ = End{};
    } else if (found == pid_) {
        end_ = WIFEXITED(status) ? End{.exit_code = WEXITSTATUS(status)} : End{.signal = WTERMSIG(status)};
    }
    return end_;
}

void Program::kill() noexcept {
    if (end_) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    end_ = End{.signal = SIGKILL};
}

}  // namespace tls
