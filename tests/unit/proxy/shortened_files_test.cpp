#include "proxy/inventory/shortened_files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/folder.hpp"

TEST_CASE("a file that was shortened while it is mapped is full of zeroes, and ends nobody") {
    const support::Folder folder;
    const int fd = ::open(folder.file("mapped").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    constexpr std::size_t size = 1 << 16;
    REQUIRE(::ftruncate(fd, size) == 0);
    void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(mapped != MAP_FAILED);
    volatile char* const bytes = static_cast<volatile char*>(mapped);
    bytes[size - 1] = 'x';

    proxy::survive_shortened_files();
    proxy::take_shortened();
    CHECK(bytes[size - 1] == 'x');
    CHECK_FALSE(proxy::take_shortened());
    REQUIRE(::ftruncate(fd, 0) == 0);
    CHECK(bytes[size - 1] == '\0');
    CHECK(proxy::take_shortened());
    CHECK_FALSE(proxy::take_shortened());
    ::munmap(mapped, size);
    ::close(fd);
}
