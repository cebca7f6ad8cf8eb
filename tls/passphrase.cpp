#include "tls/passphrase.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <system_error>
#include <thread>

#include "tls/owned_descriptor.hpp"
#include "tls/program.hpp"

namespace tls {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr char pem_prompt[] = "Enter PEM pass phrase:";
/// OpenSSL's own limit, as PostgreSQL's.
constexpr std::size_t longest_pass_phrase = 1024;
constexpr std::size_t longest_output = 2 * longest_pass_phrase;

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

/// All that it writes, up to what is needed to see that it is too much. False: `until` has passed.
bool read_output(int from, protocol::Buffer& output, Clock::time_point until) {
    std::array<std::uint8_t, 512> part;
    bool complete = false;
    while (!complete) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        pollfd waiting{.fd = from, .events = POLLIN, .revents = 0};
        if (left <= 0ms || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) break;
        const ssize_t n = ::read(from, part.data(), part.size());
        if (n < 0 && errno == EINTR) continue;
        complete = n <= 0;
        if (complete) continue;
        const std::size_t room = longest_output - std::min(output.size(), longest_output);
        output.insert(output.end(), part.begin(),
                      part.begin() + static_cast<std::ptrdiff_t>(std::min(room, static_cast<std::size_t>(n))));
    }
    protocol::wipe(part);
    return complete;
}

/// nullopt: `until` has passed.
std::optional<Program::End> wait_for(Program& program, Clock::time_point until) {
    while (true) {
        const auto end = program.ended();
        if (end || Clock::now() >= until) return end;
        std::this_thread::sleep_for(5ms);
    }
}

std::string fault_of(const Program::End& end) {
    if (end.is_success()) return {};
    if (end.exit_code) return "exited with code " + std::to_string(*end.exit_code);
    if (end.signal > 0) return "was ended by signal " + std::to_string(end.signal);
    return "ended, and nobody knows how (SIGCHLD is ignored)";
}

/// What is wrong with how it ran; empty: nothing.
std::string run(const std::string& command, protocol::Buffer& output, std::chrono::milliseconds timeout) {
    const auto until = Clock::now() + timeout;
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return "cannot be started: " + text_of_errno(errno);
    const OwnedDescriptor reading(pipe[0]);
    OwnedDescriptor writing(pipe[1]);
    try {
        // Of our own, it has standard error and, as PostgreSQL's, the environment and the folder.
        Program program({.command = {"/bin/sh", "-c", with_prompt(command)}, .output = writing.get()});
        writing.close();
        const bool complete = read_output(reading.get(), output, until);
        const auto end = complete ? wait_for(program, until) : std::nullopt;
        return end ? fault_of(*end) : "took longer than " + std::to_string(timeout.count()) + " ms";
    } catch (const std::system_error& error) {
        return "cannot be started: " + text_of_errno(error.code().value());
    }
}

/// Without what stands behind the first `size` bytes, which vector would leave in memory.
void cut(protocol::Buffer& text, std::size_t size) {
    protocol::wipe(std::span(text).subspan(size));
    text.resize(size);
}

}  // namespace

PassPhrase ask_passphrase(const std::string& command, std::chrono::milliseconds timeout) {
    PassPhrase result;
    result.text.reserve(longest_output);  // no copy stays behind where it would have grown
    result.error = run(command, result.text, timeout);
    const auto line_end = std::find(result.text.begin(), result.text.end(), '\n');
    cut(result.text, static_cast<std::size_t>(line_end - result.text.begin()));
    while (!result.text.empty() && result.text.back() == '\r') result.text.pop_back();
    if (result.error.empty() && result.text.empty()) result.error = "wrote no line";
    if (result.error.empty() && result.text.size() >= longest_pass_phrase)
        result.error = "wrote a line of 1024 bytes or more";
    if (!result.error.empty()) cut(result.text, 0);
    return result;
}

}  // namespace tls
