// A program that is run beside us: in a process group of its own, with no descriptor of ours but
// those that it is given, no signal blocked or ignored, and waited for whatever happens.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace tls {

struct ProgramOrder {
    std::vector<std::string> command;                       ///< an absolute path, and arguments
    std::optional<std::vector<std::string>> environment{};  ///< all of it: "NAME=value"; nullopt: ours
    int input = -1;                                         ///< below zero: /dev/null
    int output = -1;                                        ///< below zero: ours
    int errors = -1;                                        ///< below zero: ours
    std::string folder{};                                   ///< empty: ours
};

class Program {
   public:
    /// What is known of its end.
    struct End {
        std::optional<int> exit_code{};  ///< nullopt: a signal, or nobody knows
        int signal = 0;
        bool is_success() const noexcept { return exit_code == 0; }
    };

    /// Throws std::system_error: it could not be started.
    explicit Program(const ProgramOrder& order);
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    /// One that goes on is killed.
    ~Program() { kill(); }

    /// nullopt: it goes on. Where somebody else has taken its status (SIGCHLD is ignored), it has
    /// ended all the same, and nobody knows how.
    std::optional<End> ended() noexcept;
    /// With all that it has started, and waits for that: nothing keeps it from ending.
    void kill() noexcept;

   private:
    pid_t pid_ = 0;
    std::optional<End> end_;
};

}  // namespace tls
