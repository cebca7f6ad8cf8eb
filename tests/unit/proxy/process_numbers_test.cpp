#include "proxy/metrics/process_numbers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;

TEST_CASE("the process' numbers are known, and descriptors are counted as they come and go") {
    const proxy::ProcessNumbers before = proxy::process_numbers();
    REQUIRE(before.open_fds);
    REQUIRE(before.max_fds);
    CHECK(*before.open_fds > 2);
    CHECK(*before.open_fds <= *before.max_fds);
    CHECK(before.resident_bytes.value_or(0) > 1'000'000);
    CHECK(before.virtual_bytes.value_or(0) > before.resident_bytes.value_or(0));
    CHECK(before.cpu_seconds.value_or(-1) >= 0);
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    CHECK(before.started_seconds.value_or(0) > now - 86'400);
    CHECK(before.started_seconds.value_or(0) < now + 60);

    std::vector<int> opened;
    for (int i = 0; i < 20; ++i) opened.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto counted = [] { return proxy::process_numbers().open_fds; };
    for (int tries = 0; tries < 300 && counted() != *before.open_fds + 20; ++tries)
        std::this_thread::sleep_for(100ms);  // a kernel without the number is asked once a second
    CHECK(counted() == *before.open_fds + 20);
    for (const int one : opened) ::close(one);
    for (int tries = 0; tries < 300 && counted() != *before.open_fds; ++tries) std::this_thread::sleep_for(100ms);
    CHECK(counted() == *before.open_fds);
}
