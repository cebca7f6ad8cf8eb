#include "tls/passphrase.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>

extern char** environ;  // NOLINT: POSIX

namespace tls {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr char pem_prompt[] = "Enter PEM pass phrase:";
/// OpenSSL's own limit, as PostgreSQL's.
constexpr std::size_t longest_pass_phrase = 1024;

std::string text_of_errno(int error) { return std::generic_category().message(error); }

/// As PostgreSQL replaces placeholders (run_ssl_passphrase_command).
std::string with_prompt(const std::string& command) {
    std::string result;
    for (std::size_t i = 0; i < command.size(); ++i) {
        const char next = command[i] == '%' && i + 1 < command.size() ? command[i + 1] : '\0';
        if (next == 'p') result += pem_prompt;
        if (next == '%') result += '%';
        if (next == 'p' || next == '%') {
            ++i;
        } else {
            result += command[i];
        }
    }
    return result;
}

/// A shell in a process group of its own, with nothing of ours but standard error. 0: it could not
/// be started; `error` says why.
pid_t start_shell(const std::string& command, int output, std::string& error) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);  // we ignore some, and block others
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string shell = "sh", option = "-c", text = command;
    const std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
    pid_t pid = 0;
    const int failed = posix_spawn(&pid, "/bin/sh", &files, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (failed == 0) return pid;
    error = "cannot be started: " + text_of_errno(failed);
    return 0;
}

/// All that it writes, up to what is needed to see that it is too much. False: `until` has passed.
bool read_output(int from, protocol::Buffer& output, Clock::time_point until) {
    std::array<std::uint8_t, 512> part;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        pollfd waiting{.fd = from, .events = POLLIN, .revents = 0};
        if (left <= 0ms || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) return false;
        const ssize_t n = ::read(from, part.data(), part.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        const std::size_t room = 2 * longest_pass_phrase - std::min(output.size(), 2 * longest_pass_phrase);
        output.insert(output.end(), part.begin(),
                      part.begin() + static_cast<std::ptrdiff_t>(std::min(room, static_cast<std::size_t>(n))));
    }
    protocol::wipe(part);
    return true;
}

/// Its exit status; -1: `until` has passed.
int wait_for(pid_t pid, Clock::time_point until) {
    int status = 0;
    while (true) {
        const pid_t ended = ::waitpid(pid, &status, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR)) return status;
        if (Clock::now() >= until) return -1;
        std::this_thread::sleep_for(5ms);
    }
}

std::string fault_of(int status) {
    if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) return "exited with code " + std::to_string(WEXITSTATUS(status));
    return {};
}

}  // namespace

PassPhrase ask_passphrase(const std::string& command, std::chrono::milliseconds timeout) {
    const auto until = Clock::now() + timeout;
    PassPhrase result;
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        result.error = "cannot be started: " + text_of_errno(errno);
        return result;
    }
    const pid_t pid = start_shell(with_prompt(command), pipe[1], result.error);
    ::close(pipe[1]);
    if (pid > 0) {
        const bool complete = read_output(pipe[0], result.text, until);
        const int status = complete ? wait_for(pid, until) : -1;
        if (status == -1) {
            ::kill(-pid, SIGKILL);
            while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
            }
            result.error = "took longer than " + std::to_string(timeout.count()) + " ms";
        } else {
            result.error = fault_of(status);
        }
    }
    ::close(pipe[0]);
    const auto line_end = std::find_if(result.text.begin(), result.text.end(), [](auto c) { return c == '\n'; });
    result.text.erase(line_end, result.text.end());
    while (!result.text.empty() && result.text.back() == '\r') result.text.pop_back();
    if (result.error.empty() && result.text.empty()) result.error = "wrote no line";
    if (result.error.empty() && result.text.size() >= longest_pass_phrase)
        result.error = "wrote a line of 1024 bytes or more";
    if (!result.error.empty()) result.text.clear();
    return result;
}

}  // namespace tls
