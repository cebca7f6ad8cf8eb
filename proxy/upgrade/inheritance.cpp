#include "proxy/upgrade/inheritance.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace proxy {
namespace {

/// The old process sends it all at once, and gives up on us before that.
constexpr std::chrono::seconds patience{60};

UpgradeChannel::Deadline in_time() { return std::chrono::steady_clock::now() + patience; }

/// The service manager is told of the end of its own children alone, and ours is not to wait for
/// the old process's.
void become_nobodys_child() {
    const pid_t child = ::fork();
    if (child > 0) ::_exit(0);
    ::setpgid(0, 0);  // nor is it in the group that the old process ends where one hangs
}

}  // namespace

Inheritance& Inheritance::ours() {
    static Inheritance one;
    return one;
}

Inheritance& Inheritance::take() {
    Inheritance& ours = Inheritance::ours();
    if (std::getenv(variable) == nullptr) return ours;
    ::unsetenv(variable);
    struct stat status {};
    if (::fstat(channel_descriptor, &status) != 0 || !S_ISSOCK(status.st_mode)) return ours;
    become_nobodys_child();
    ::fcntl(channel_descriptor, F_SETFD, FD_CLOEXEC);
    ::dup2(error_descriptor, STDERR_FILENO);  // until now the old process has listened
    ::close(error_descriptor);
    ours.channel_ = UpgradeChannel(tls::OwnedDescriptor(channel_descriptor));
    ours.channel_.send("hello " + std::to_string(::getpid()));
    ours.read_all();
    return ours;
}

void Inheritance::read_all() {
    while (auto message = channel_.receive(in_time())) {
        if (message->text == "all") return;
        take_over(std::move(*message));
    }
    ::_exit(EXIT_FAILURE);  // the old process is gone, or has given up: it goes on, or somebody starts one anew
}

/// What a newer version hands on as well, and we know nothing of, is closed.
void Inheritance::take_over(UpgradeChannel::Message message) {
    const std::size_t space = message.text.find(' ');
    const std::string what = message.text.substr(0, space);
    std::string rest = space == std::string::npos ? std::string() : message.text.substr(space + 1);
    if (what == "listen") listening.push_back({std::move(rest), std::move(message.descriptor)});
    if (what == "activated") activated.push_back({std::move(rest), std::move(message.descriptor)});
    if (what == "http") http = {std::move(rest), std::move(message.descriptor)};
    if (what == "state_dir") state_dir = std::move(rest);
    if (what == "lock") state_lock = std::move(message.descriptor);
    if (what == "roles") {
        for (InheritedRole& one : parse_roles(rest)) roles.push_back(std::move(one));
    }
    if (what == "predecessor") predecessors.push_back(static_cast<pid_t>(std::strtol(rest.c_str(), nullptr, 10)));
}

void Inheritance::failed(const std::string& why) noexcept {
    if (!channel_.is_open()) return;
    try {
        channel_.send("failed " + why);
    } catch (const std::bad_alloc&) {
        channel_.send("failed out of memory");
    }
}

void Inheritance::ready(const std::string& version) {
    channel_.send("ready " + version);
    while (auto message = channel_.receive(in_time())) {
        if (message->text == "go") return;
    }
    // One that is gone has left everything to us. One that only says nothing may go on.
    if (!channel_.is_over()) throw std::runtime_error("the process that is to be replaced does not answer");
}

void Inheritance::serving() noexcept {
    channel_.send("serving");
    channel_.close();
}

}  // namespace proxy
