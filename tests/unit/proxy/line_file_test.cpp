#include "proxy/record/line_file.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"

using proxy::LineFile;
using support::content;
using support::Folder;

TEST_CASE("line file: is its owner's and its group's alone") {
    const Folder folder;
    const std::string path = folder.file("log");
    LineFile file;
    REQUIRE(file.open(path).empty());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0137) == 0);
}

TEST_CASE("line file: a FIFO that nobody reads is refused at once, and what was open stays") {
    const Folder folder;
    const std::string path = folder.file("fifo"), before = folder.file("before");
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    LineFile file;
    REQUIRE(file.open(before).empty());
    CHECK(file.open(path) == "it is a FIFO that nobody reads");
    CHECK(file.append("still here\n") == 0);
    CHECK(content(before) == "still here\n");
}

TEST_CASE("line file: what is no file to append to is refused with what it is") {
    const Folder folder;
    LineFile file;
    CHECK(file.open("/") == "Is a directory");
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(name.sun_path, folder.file("s").c_str());
    const int listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    CHECK(file.open(name.sun_path) == "it is a socket");
    ::close(listening);
    CHECK(file.open("/dev/null").empty());
}

TEST_CASE("line file: a pipe that somebody made non-blocking gets every line") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_NONBLOCK) == 0);
    ::fcntl(ends[0], F_SETFL, 0);
    std::string read;
    std::thread reader([&] {
        std::string part(65'536, '\0');
        for (ssize_t n = 0; (n = ::read(ends[0], part.data(), part.size())) > 0;)
            read.append(part, 0, static_cast<std::size_t>(n));
    });
    std::string lines;
    for (int i = 0; i < 100'000; ++i) lines += "line " + std::to_string(i) + "\n";
    LineFile file;
    file.use(ends[1]);
    CHECK(file.append(lines) == 0);
    ::close(ends[1]);
    reader.join();
    ::close(ends[0]);
    CHECK(read == lines);
}

TEST_CASE("obstacle to writing: is seen without making anything") {
    const Folder folder;
    const std::string log = folder.file("log");
    CHECK(proxy::obstacle_to_writing(log).error.empty());
    CHECK(::access(log.c_str(), F_OK) != 0);
    CHECK(proxy::obstacle_to_writing(folder.file("missing/log")).error == "No such file or directory");
    CHECK(proxy::obstacle_to_writing(folder.file("")).error == "Is a directory");
    LineFile file;
    REQUIRE(file.open(log).empty());
    CHECK(proxy::obstacle_to_writing(log).error.empty());
    CHECK(proxy::obstacle_to_writing(log + "/file").error == "Not a directory");
    SECTION("what open(2) refuses though access(2) does not is one") {
        const std::string fifo = folder.file("fifo");
        REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
        CHECK(proxy::obstacle_to_writing(fifo).error == "it is a FIFO that nobody reads");
        const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(proxy::obstacle_to_writing(fifo).error.empty());
        ::close(reader);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const std::string path = folder.file("socket");
        REQUIRE(path.size() < sizeof name.sun_path);
        std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
        CHECK(proxy::obstacle_to_writing(path).error == "it is a socket");
        ::close(socket);
        CHECK_FALSE(proxy::obstacle_to_writing("/proc/pgairlock-audit").error.empty());
        CHECK_FALSE(proxy::obstacle_to_writing("/proc/state/audit", "/proc/state").error.empty());
    }
    SECTION("a symbolic link to nowhere is where its file would be made") {
        const std::string link = folder.file("link"), second = folder.file("second");
        REQUIRE(::symlink("missing/log", link.c_str()) == 0);
        REQUIRE(::symlink("link", second.c_str()) == 0);
        CHECK(proxy::obstacle_to_writing(link).error == "No such file or directory");
        CHECK(proxy::obstacle_to_writing(second).error == "No such file or directory");
        REQUIRE(::symlink("unmade", folder.file("good").c_str()) == 0);
        CHECK(proxy::obstacle_to_writing(folder.file("good")).error.empty());
    }
    SECTION("a folder that is made before is no obstacle") {
        const std::string state = folder.file("some/state");
        CHECK(proxy::obstacle_to_writing(state + "/audit", state).error.empty());
        CHECK_FALSE(proxy::obstacle_to_writing(log + "/state/audit", log + "/state").error.empty());
    }
}
