// Programs that are told of something.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "proxy/alert/child_process.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Attempt;
using proxy::AttemptResult;
using End = proxy::AttemptResult::End;

const std::atomic<bool> never{false};

AttemptResult shell(const std::string& script, std::string input = {}, Attempt::Clock::duration patience = 60s) {
    std::signal(SIGPIPE, SIG_IGN);  // as in the program
    return proxy::run_child({.command = {"/bin/sh", "-c", script},
                             .environment = {"PATH=/usr/bin:/bin", "KNOWN=yes"},
                             .input = std::move(input)},
                            {.deadline = Attempt::Clock::now() + patience, .stop = never});
}

bool is_running(int pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST_CASE("child process: it is given the message and its own environment, and nothing of ours") {
    const support::Folder folder;
    const int ours = ::open("/dev/null", O_RDONLY);  // on purpose without O_CLOEXEC
    const std::string out = folder.file("out");
    ::setenv("PGAIRLOCK_TEST_SECRET", "secret", 1);
    const auto result = shell("cat > " + out + "; env >> " + out + "; ls /proc/self/fd >> " + out, "{\"a\": 1}\n");
    ::unsetenv("PGAIRLOCK_TEST_SECRET");
    ::close(ours);
    CHECK(result.end == End::sent);
    const std::string said = support::content(out);
    CHECK(said.starts_with("{\"a\": 1}\n"));
    CHECK(said.find("KNOWN=yes") != std::string::npos);
    CHECK(said.find("secret") == std::string::npos);
    CHECK(said.ends_with("\n0\n1\n2\n3\n"));  // 3: the folder that ls reads
}

TEST_CASE("child process: a failure says why, in one harmless line") {
    const auto result = shell("printf 'no \\033[2Jway\\nmore' >&2; exit 3");
    CHECK(result.end == End::failed);
    CHECK(result.what.starts_with("exit 3: no "));
    CHECK(result.what.ends_with("way"));
    CHECK(result.what.find('\x1b') == std::string::npos);
    CHECK(shell("kill -9 $$").what == "ended by signal 9");
    const auto missing = proxy::run_child({.command = {"/no/such/program"}, .environment = {}, .input = {}},
                                          {.deadline = Attempt::Clock::now() + 60s, .stop = never});
    CHECK(missing.end == End::failed);
    CHECK_FALSE(missing.what.empty());
}

TEST_CASE("child process: one that reads nothing, or writes without an end, does no harm") {
    CHECK(shell("exit 0", std::string(1'000'000, 'x')).end == End::sent);
    CHECK(shell("cat /dev/zero | head -c 5000000", "x").end == End::sent);
}

TEST_CASE("child process: what takes too long is killed with all that it started") {
    const support::Folder folder;
    const std::string pid_file = folder.file("pid");
    const auto result = shell("sleep 600 & echo $! > " + pid_file + "; wait", {}, 1s);
    CHECK(result.end == End::failed);
    CHECK(result.what == "not done in time, and killed");
    const int pid = std::stoi(support::content(pid_file));
    for (int i = 0; i < 500 && is_running(pid); ++i) ::usleep(10'000);
    // Without an init that waits for it, it may stay as a zombie.
    const std::string stat = support::content("/proc/" + std::to_string(pid) + "/stat");
    CHECK((stat.empty() || stat.find(") Z ") != std::string::npos));
}

TEST_CASE("child process: it ends when the proxy does") {
    const std::atomic<bool> stop{true};
    const auto result = proxy::run_child({.command = {"/bin/sleep", "600"}, .environment = {}, .input = {}},
                                         {.deadline = Attempt::Clock::now() + 600s, .stop = stop});
    CHECK(result.what == "ended");
}

TEST_CASE("child process: where SIGCHLD is ignored, it has ended all the same, and is not said to have gone well") {
    auto* const before = std::signal(SIGCHLD, SIG_IGN);
    const auto result = shell("exit 0");
    std::signal(SIGCHLD, before);
    CHECK(result.end == End::failed);
    CHECK(result.what == "ended, and nobody knows how");
}
