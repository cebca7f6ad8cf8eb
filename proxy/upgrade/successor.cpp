#include "proxy/upgrade/successor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <system_error>

#include "proxy/upgrade/inheritance.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;

/// After "go" it has only to say so.
constexpr std::chrono::seconds patience_to_serve{10};
/// Of what it writes before it is pgairlock, such as a linker's complaint.
constexpr std::size_t max_words = 4096;
constexpr int above_ours = 10;

/// Where a shell would have found it.
std::string found_in_path(const std::string& name) {
    const char* const path = std::getenv("PATH");
    for (std::string_view rest = path != nullptr ? path : ""; !rest.empty();) {
        const std::size_t end = rest.find(':');
        const std::string file = std::string(rest.substr(0, end)) + "/" + name;
        if (::access(file.c_str(), X_OK) == 0) return file;
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    return {};
}

std::string own_file() {
    std::array<char, 4096> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : std::string();
}

/// Links stay as they are: whoever turns one to a new version means it.
std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    std::array<char, 4096> folder{};
    return ::getcwd(folder.data(), folder.size()) != nullptr ? std::string(folder.data()) + "/" + path : path;
}

/// What the service manager said to us alone is not the next one's.
bool is_handed_on(std::string_view variable) {
    for (const std::string_view ours : {"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID="}) {
        if (variable.starts_with(ours)) return false;
    }
    return true;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

/// Out of the way of those numbers that the new process's descriptors get.
tls::OwnedDescriptor moved_up(int fd) { return tls::OwnedDescriptor(::fcntl(fd, F_DUPFD_CLOEXEC, above_ours)); }

struct SpawnActions {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
    SpawnActions() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnActions() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
};

/// As posix_spawn(3): safe with any number of threads. Nothing of ours but these descriptors goes
/// along, no signal is blocked or ignored, and a group of its own makes it easy to end.
int spawn(const Launch& launch, int channel, int words, pid_t& pid) {
    SpawnActions how;
    posix_spawn_file_actions_adddup2(&how.actions, STDERR_FILENO, Inheritance::error_descriptor);
    posix_spawn_file_actions_adddup2(&how.actions, words, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&how.actions, channel, Inheritance::channel_descriptor);
    posix_spawn_file_actions_addclosefrom_np(&how.actions, Inheritance::error_descriptor + 1);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&how.attributes, &none);
    posix_spawnattr_setsigdefault(&how.attributes, &all);
    posix_spawnattr_setpgroup(&how.attributes, 0);
    posix_spawnattr_setflags(&how.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::vector<std::string> arguments = launch.arguments, environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (is_handed_on(*variable)) environment.emplace_back(*variable);
    }
    environment.push_back(std::string(Inheritance::variable) + "=1");
    return ::posix_spawn(&pid, launch.program.c_str(), &how.actions, &how.attributes, pointers(arguments).data(),
                         pointers(environment).data());
}

Launch& launch_of_ours() {
    static Launch one;
    return one;
}

std::string last_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

}  // namespace

void Launch::note(int count, char** arguments) {
    Launch& ours = launch_of_ours();
    ours.arguments.assign(arguments, arguments + count);
    const std::string name = count > 0 ? arguments[0] : "";
    ours.program = name.find('/') == std::string::npos ? found_in_path(name) : absolute(name);
    if (ours.program.empty()) ours.program = own_file();
}

const Launch& Launch::noted() { return launch_of_ours(); }

class Successor::Work {
   public:
    Work(Launch launch, Given given, Told told)
        : launch_(std::move(launch)),
          given_(std::move(given)),
          told_(std::move(told)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void run() noexcept {
        std::string why;
        try {
            why = start();
            if (why.empty()) why = follow();
        } catch (const std::exception& error) {
            why = error.what();
        }
        given_.clear();
        if (serves_) return told_.serving(process_);
        end();
        told_.failed(why);
    }

    void go() { ask(Asked::go, {}); }
    void give_up(const std::string& why) { ask(Asked::give_up, why); }
    bool serves() {
        const std::lock_guard lock(mutex_);
        return serves_;
    }

   private:
    enum class Asked { nothing, go, give_up };
    enum class End { waited_for, made };

    void ask(Asked what, const std::string& why) {
        {
            const std::lock_guard lock(mutex_);
            if (asked_ == Asked::give_up) return;
            asked_ = what;
            why_ = why;
        }
        const std::uint64_t one = 1;
        const ssize_t written = ::write(wake_.get(), &one, sizeof one);
        static_cast<void>(written);  // it is as full as it needs to be
    }

    /// Why not; empty: it runs.
    std::string start() {
        auto [ours, theirs] = UpgradeChannel::make();
        int pipe[2];
        if (::pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0) return std::string("no pipe: ") + std::strerror(errno);
        words_ = tls::OwnedDescriptor(pipe[0]);
        const tls::OwnedDescriptor write_end(pipe[1]);
        const tls::OwnedDescriptor channel = moved_up(theirs.descriptor()), words = moved_up(write_end.get());
        if (!channel || !words || !wake_) return std::string("no descriptors: ") + std::strerror(errno);
        const int error = spawn(launch_, channel.get(), words.get(), child_);
        if (error != 0) {
            child_ = 0;
            return "cannot start " + launch_.program + ": " + std::strerror(error);
        }
        channel_ = std::move(ours);
        for (const UpgradeChannel::Message& one : given_) channel_.send(one.text, one.descriptor.get());
        channel_.send("all");
        return {};
    }

    /// Until it serves or does not. Why not.
    std::string follow() {
        auto until = Clock::now() + patience;
        for (;;) {
            std::array<pollfd, 3> waiting{pollfd{.fd = channel_.descriptor(), .events = POLLIN, .revents = 0},
                                          pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                          pollfd{.fd = words_.get(), .events = POLLIN, .revents = 0}};
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
            if (left <= 0) return has_gone_ ? "it did not begin to serve" : "it was not ready within 60 s";
            const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left) + 1);
            if (ready < 0 && errno != EINTR) return std::strerror(errno);
            if (ready <= 0) continue;
            if (waiting[2].revents != 0) read_words();
            if (waiting[1].revents != 0) {
                std::uint64_t count = 0;
                const ssize_t read = ::read(wake_.get(), &count, sizeof count);
                static_cast<void>(read);
                const std::lock_guard lock(mutex_);
                if (asked_ == Asked::give_up) return why_;
                if (asked_ == Asked::go && !std::exchange(has_gone_, true)) {
                    channel_.send("go");
                    until = Clock::now() + patience_to_serve;
                }
            }
            if (waiting[0].revents == 0) continue;
            auto message = channel_.receive(Clock::now());
            if (!message && channel_.is_over()) return how_it_ended();
            if (!message) continue;
            if (auto pid = message->after("hello"))
                process_ = static_cast<pid_t>(std::strtol(pid->c_str(), nullptr, 10));
            if (auto why = message->after("failed")) said_ = *why;
            if (auto version = message->after("ready")) told_.ready(*version);
            if (message->text == "serving") {
                {
                    const std::lock_guard lock(mutex_);
                    if (asked_ == Asked::give_up) return why_;
                    serves_ = true;
                }
                static_cast<void>(reap(End::waited_for));
                return {};
            }
        }
    }

    void read_words() {
        std::array<char, 1024> some{};
        const ssize_t n = ::read(words_.get(), some.data(), some.size());
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return words_.close();
        said_before_.append(some.data(), static_cast<std::size_t>(n));
        if (said_before_.size() > max_words) said_before_.erase(0, said_before_.size() - max_words);
    }

    std::string how_it_ended() {
        if (!said_.empty()) return said_;
        while (words_ && read_some_words()) {
        }
        const std::string status = reap(End::made);
        if (const std::string line = last_line(said_before_); !line.empty()) return status + ": " + line;
        return status;
    }

    bool read_some_words() {
        const std::size_t before = said_before_.size();
        read_words();
        return said_before_.size() > before;
    }

    /// The process that was started, which leaves early where it is pgairlock.
    std::string reap(End how) {
        int status = 0;
        if (child_ <= 0) return "it ended";
        // It has closed its descriptors: what is left of its end is short, or is made so.
        for (int tries = 0; ::waitpid(child_, &status, WNOHANG) == 0; ++tries) {
            if (tries == 100 && how == End::waited_for) return "it goes on";
            if (tries == 100) ::kill(-child_, SIGKILL);
            ::usleep(10'000);
        }
        child_ = 0;
        if (WIFSIGNALED(status)) return "it was ended by signal " + std::to_string(WTERMSIG(status));
        if (WEXITSTATUS(status) != 0 || process_ == 0)
            return "it ended with exit status " + std::to_string(WEXITSTATUS(status));
        return has_gone_ ? "it ended before it accepted clients" : "it ended before it was ready";
    }

    void end() {
        if (process_ > 0) ::kill(process_, SIGKILL);
        if (child_ > 0) ::kill(-child_, SIGKILL);
        static_cast<void>(reap(End::made));
        channel_.close();
    }

    const Launch launch_;
    Given given_;
    const Told told_;
    const tls::OwnedDescriptor wake_;
    UpgradeChannel channel_;
    tls::OwnedDescriptor words_;
    pid_t child_ = 0;    // as it was started; 0: nobody's, or its status has been taken
    pid_t process_ = 0;  // what has come of it: pgairlock, in a process of its own
    std::string said_, said_before_;
    bool has_gone_ = false, serves_ = false;
    std::mutex mutex_;
    Asked asked_ = Asked::nothing;
    std::string why_;
};

Successor::Successor(Launch launch, Given given, Told told)
    : work_(std::make_shared<Work>(std::move(launch), std::move(given), std::move(told))),
      thread_([work = work_] { work->run(); }) {}

void Successor::go() { work_->go(); }

void Successor::give_up(const std::string& why) { work_->give_up(why); }

bool Successor::serves() const { return work_->serves(); }

}  // namespace proxy
