#include "proxy/alert/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "protocol/utf8.hpp"
#include "tls/owned_descriptor.hpp"
#include "tls/program.hpp"

namespace proxy {
namespace {

/// More of what it writes is read and thrown away.
constexpr std::size_t max_output = 4096;
constexpr std::size_t max_told = 200;

struct Pipe {
    tls::OwnedDescriptor reading, writing;
};

/// Throws std::system_error.
Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
    return {.reading = tls::OwnedDescriptor(ends[0]), .writing = tls::OwnedDescriptor(ends[1])};
}

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

bool drain(int fd, std::string& output, const Attempt& attempt) {
    std::array<char, 4096> piece;
    while (!attempt.is_over()) {  // who writes faster than is read would keep us here
        const ssize_t n = ::read(fd, piece.data(), piece.size());
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
        output.append(piece.data(), std::min(static_cast<std::size_t>(n), max_output - output.size()));
    }
    return true;
}

AttemptResult judge(const tls::Program::End& end, const std::string& output) {
    if (end.is_success()) return {.end = AttemptResult::End::sent, .what = "exit 0"};
    std::string what = end.exit_code    ? "exit " + std::to_string(*end.exit_code)
                       : end.signal > 0 ? "ended by signal " + std::to_string(end.signal)
                                        : "ended, and nobody knows how";
    const std::string line = protocol::printable(protocol::as_utf8(output.substr(0, output.find('\n')), max_told));
    if (!line.empty()) what += ": " + line;
    return {.what = std::move(what)};
}

AttemptResult run(const ChildOrder& order, const Attempt& attempt) {
    Pipe in = make_pipe(), out = make_pipe();
    tls::Program program({.command = order.command,
                          .environment = order.environment,
                          .input = in.reading.get(),
                          .output = out.writing.get(),
                          .errors = out.writing.get(),
                          .folder = "/"});
    in.reading.close();
    out.writing.close();
    unblock(in.writing.get());
    unblock(out.reading.get());
    std::string_view input = order.input;
    std::string output;
    for (;;) {
        if (in.writing && !feed(in.writing.get(), input)) in.writing.close();
        if (out.reading && !drain(out.reading.get(), output, attempt)) out.reading.close();
        if (const auto end = program.ended()) {
            if (out.reading) drain(out.reading.get(), output, attempt);
            return judge(*end, output);
        }
        if (attempt.is_over()) {
            program.kill();
            return {.what = attempt.stop ? "ended" : "not done in time, and killed"};
        }
        std::array<pollfd, 2> ends{pollfd{.fd = in.writing.get(), .events = POLLOUT, .revents = 0},
                                   pollfd{.fd = out.reading.get(), .events = POLLIN, .revents = 0}};
        ::poll(ends.data(), ends.size(), attempt.poll_time());
    }
}

}  // namespace

AttemptResult run_child(const ChildOrder& order, const Attempt& attempt) try {
    return run(order, attempt);
} catch (const std::system_error& error) {
    return {.what = error.code().message()};
}

}  // namespace proxy
