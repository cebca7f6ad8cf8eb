// Accepting where the process has no descriptors left.
#include "proxy/server/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>

#include "support/catch.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;

/// Takes `free` descriptors more and then none, until it is over.
class DescriptorLimit {
   public:
    explicit DescriptorLimit(rlim_t free) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const int next = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
        REQUIRE(next >= 0);
        ::close(next);
        rlimit now = before_;
        now.rlim_cur = static_cast<rlim_t>(next) + free;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
    }
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;

   private:
    rlimit before_{};
};

struct Accepting {
    asio::io_context io{1};
    std::shared_ptr<Listener> listener = std::make_shared<Listener>(
        io, bind_listener({.kind = config::Address::Kind::tcp, .host = "127.0.0.1", .port = 0, .origin = {}}));
    int accepted = 0;

    void serve() {
        listener->serve([this](int fd, const Peer&) {
            ::close(fd);
            ++accepted;
        });
    }
    bool accepts(std::chrono::milliseconds within) {
        const auto end = std::chrono::steady_clock::now() + within;
        while (accepted == 0 && std::chrono::steady_clock::now() < end) {
            io.restart();
            io.run_for(5ms);
        }
        return accepted > 0;
    }
    int connect() const {
        const std::string& address = listener->address();
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd >= 0);
        REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        return fd;
    }
    ~Accepting() { listener->stop(); }
};

}  // namespace

TEST_CASE("a listener with spare descriptors accepts when the process has none left") {
    Accepting accepting;
    accepting.listener->keep_spares(2);
    accepting.serve();
    const int client = accepting.connect();
    {
        const DescriptorLimit none(0);
        CHECK(accepting.accepts(20s));
    }
    ::close(client);
}

TEST_CASE("a listener that leaves descriptors to others does not take the last ones") {
    Accepting accepting;
    accepting.listener->leave_descriptors(32);
    accepting.serve();
    const int client = accepting.connect();
    {
        const DescriptorLimit last(1);
        CHECK_FALSE(accepting.accepts(300ms));
        const int others = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
        CHECK(others >= 0);
        ::close(others);
    }
    CHECK(accepting.accepts(20s));
    ::close(client);
}
