// Whether processes of other users can be found at all. That they are is shown by the whole program
// (tests/integration).
#include "proxy/observation/process_owner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/catch.hpp"

namespace {

/// A folder that looks like /proc.
class Proc {
   public:
    Proc(const std::string& capabilities, bool shows_process_1) {
        char name[] = "/tmp/pgairlock-proc-XXXXXX";
        path = ::mkdtemp(name);
        std::filesystem::create_directories(path + "/self");
        std::ofstream(path + "/self/status")
            << "Name:\tpgairlock\nCapPrm:\tffffffffffffffff\nCapEff:\t" << capabilities << "\nSeccomp:\t0\n";
        if (shows_process_1) std::filesystem::create_directories(path + "/1");
    }
    ~Proc() { std::filesystem::remove_all(path); }
    Proc(const Proc&) = delete;
    Proc& operator=(const Proc&) = delete;

    std::string path;
};

}  // namespace

TEST_CASE("without CAP_SYS_PTRACE other users' processes are hidden, whatever else there is") {
    CHECK(proxy::processes_hidden_because(Proc("0000000000000000", true).path).find("CAP_SYS_PTRACE") !=
          std::string::npos);
    CHECK_FALSE(proxy::processes_hidden_because(Proc("000001fffff7ffff", true).path).empty());
}

TEST_CASE("with CAP_SYS_PTRACE they are found where /proc shows them") {
    CHECK(proxy::processes_hidden_because(Proc("0000000000080000", true).path).empty());
    CHECK(proxy::processes_hidden_because(Proc("0000000000080000", false).path).find("/proc") != std::string::npos);
}

TEST_CASE("where nobody knows nothing is said") { CHECK(proxy::processes_hidden_because("/nonexistent").empty()); }

TEST_CASE("when a process began is known to the tick, and never later than it was") {
    using namespace std::chrono_literals;
    const auto before = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto after = std::chrono::steady_clock::now();
    const auto began = proxy::started_at(child);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(began > before - 100ms);
    CHECK(began <= after);
    CHECK(proxy::started_at(child) == std::chrono::steady_clock::time_point{});  // it is gone
    CHECK(proxy::started_at(1, "/nonexistent") == std::chrono::steady_clock::time_point{});
}
