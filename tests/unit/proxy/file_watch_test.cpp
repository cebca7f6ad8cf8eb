// What is watched is what was read.
#include "proxy/server/file_watch.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "config/file.hpp"
#include "support/catch.hpp"

namespace {

using config::FileKind;
using config::FilesRead;

class Folder {
   public:
    Folder() {
        char name[] = "/tmp/pgairlock-test-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string write(const std::string& name, const std::string& text) const {
        std::string path = path_ + "/" + name;
        std::ofstream(path) << text;
        ::chmod(path.c_str(), 0600);
        return path;
    }

   private:
    std::string path_;
};

config::FileStates read(const std::string& path, FileKind kind = FileKind::certificate) {
    const FilesRead files;
    std::vector<config::Diagnostic> errors;
    config::read_file({.path = path, .origin = {}}, kind, errors);
    return files.states();
}

/// A change is told once nothing has moved between two looks.
bool seen(proxy::FileWatch& watch) { return watch.changed() || watch.changed(); }

}  // namespace

TEST_CASE("file watch: what changed between its reading and the first look is a change") {
    const Folder folder;
    const std::string path = folder.write("f", "one");
    const config::FileStates states = read(path);
    folder.write("f", "two");
    proxy::FileWatch watch({path}, states);
    CHECK(seen(watch));
    CHECK_FALSE(seen(watch));
}

TEST_CASE("file watch: what is written anew and holds the same is no change") {
    const Folder folder;
    const std::string path = folder.write("f", "one");
    proxy::FileWatch watch({path}, read(path));
    folder.write("f", "one");
    CHECK_FALSE(seen(watch));
    folder.write("f", "two");
    CHECK(seen(watch));
}

TEST_CASE("file watch: a secret that others may read, or may no more, is a change; of a certificate that is none") {
    const Folder folder;
    const std::string path = folder.write("f", "one");
    proxy::FileWatch secret({path}, read(path, FileKind::private_key));
    proxy::FileWatch certificate({path}, read(path));
    ::chmod(path.c_str(), 0644);
    CHECK(seen(secret));
    CHECK_FALSE(seen(certificate));
    ::chmod(path.c_str(), 0600);
    CHECK(seen(secret));
}

TEST_CASE("file watch: a file that goes, and comes") {
    const Folder folder;
    const std::string path = folder.write("f", "one");
    proxy::FileWatch watch({path}, read(path));
    std::filesystem::remove(path);
    CHECK(seen(watch));
    CHECK_FALSE(seen(watch));
    folder.write("f", "one");
    CHECK(seen(watch));
}

TEST_CASE("file watch: a file that nobody has read begins with the first look") {
    const Folder folder;
    const std::string path = folder.write("f", "one");
    proxy::FileWatch watch({path}, {});
    CHECK_FALSE(seen(watch));
    folder.write("f", "two");
    CHECK(seen(watch));
}

TEST_CASE("files read: the first reading of a file counts, and those around are told unless it is apart") {
    const Folder folder;
    const std::string path = folder.write("f", "one"), other = folder.write("g", "one");
    const FilesRead outer;
    const config::FileStates first = read(path);
    folder.write("f", "two");
    CHECK_FALSE(config::hold_the_same(read(path), first));
    config::look_at_file(other, FileKind::certificate);
    CHECK(config::hold_the_same(outer.states(), first));
}

TEST_CASE("files read: of one that cannot be read, why") {
    const Folder folder;
    const std::string path = folder.write("f", "one") + ".away";
    const config::FileStates states = read(path);
    REQUIRE(states.contains(path));
    CHECK(states.at(path).content == "cannot be opened: No such file or directory");
    CHECK(states.at(path).stamp == config::file_stamp(path));
}
