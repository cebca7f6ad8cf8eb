#include "proxy/server/left_sockets.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "proxy/server/listener.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

int listening(const std::string& path) {
    const config::Address address{.kind = config::Address::Kind::unix_socket, .host = path, .port = 0, .origin = {}};
    return proxy::bind_listener(address).fd;
}

}  // namespace

TEST_CASE("left sockets: those on which nobody listens go, and nothing else does") {
    const support::Folder folder;
    const std::string prefix = folder.file(".s.PGSQL.6434.");
    // Of a process that is there no more, and of one whose number another process has.
    for (const std::string& name : {prefix + "99999999", prefix + "1"}) ::close(listening(name));
    const int alive = listening(prefix + "2");
    ::close(listening(folder.file(".s.PGSQL.6434")));  // the path itself
    ::close(listening(prefix + "3x"));
    ::close(listening(folder.file(".s.PGSQL.6435.4")));
    std::ofstream(prefix + "5") << "no socket";
    proxy::remove_left_sockets(prefix);
    const auto exists = [](const std::string& path) { return std::filesystem::exists(path); };
    CHECK_FALSE(exists(prefix + "99999999"));
    CHECK_FALSE(exists(prefix + "1"));
    CHECK(exists(prefix + "2"));
    CHECK(exists(prefix + "3x"));
    CHECK(exists(prefix + "5"));
    CHECK(exists(folder.file(".s.PGSQL.6434")));
    CHECK(exists(folder.file(".s.PGSQL.6435.4")));
    ::close(alive);
    proxy::remove_left_sockets(prefix);
    CHECK_FALSE(exists(prefix + "2"));
    proxy::remove_left_sockets("/nowhere/at/all.");
    proxy::remove_left_sockets("no folder");
}
