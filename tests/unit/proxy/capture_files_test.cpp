#include "proxy/capture/capture_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <thread>

#include "protocol/pcapng.hpp"
#include "support/capture_file.hpp"
#include "support/catch.hpp"

namespace {

using proxy::CaptureEnd;
using proxy::CaptureFiles;
using proxy::CaptureOver;
using support::content;
using support::Folder;
namespace fs = std::filesystem;

const std::chrono::system_clock::time_point began{std::chrono::seconds(1'796'061'908)};  // 2026-11-30T18:05:08Z

CaptureFiles::Settings settings(const Folder& folder) {
    return {.dir = folder.file("captures"),
            .file = {},
            .max_file_size = 1'000,
            .max_total_size = 4'000,
            .min_free_space = 0,
            .max_file_age = std::chrono::hours(1)};
}

/// A block of about that size.
protocol::Buffer block(std::size_t size) {
    protocol::Buffer out;
    protocol::pcapng::append_section(out, "test", {}, std::string(size, 'x'));
    return out;
}

std::vector<std::string> names(const std::string& dir) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(dir)) found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
}

CaptureEnd why_refused(const CaptureFiles::Settings& settings) {
    try {
        const CaptureFiles files(settings, began);
    } catch (const CaptureOver& over) {
        return over.end();
    }
    return CaptureEnd::none;
}

mode_t mode(const std::string& path) {
    struct stat file {};
    REQUIRE(::lstat(path.c_str(), &file) == 0);
    return file.st_mode & 0777;
}

}  // namespace

TEST_CASE("capture files: named by the UTC time of the capture's start, and nobody else's") {
    const Folder folder;
    CaptureFiles files(settings(folder), began);
    CHECK(names(folder.file("captures")) == std::vector<std::string>{"capture-20261130T180508Z-1.pcapng"});
    CHECK(files.path() == folder.file("captures/capture-20261130T180508Z-1.pcapng"));
    CHECK(files.where() == folder.file("captures"));
    CHECK(mode(files.path()) == 0600);
    CHECK(mode(files.where()) == 0700);
}

TEST_CASE("capture files: what is there is never written over") {
    const Folder folder;
    const CaptureFiles first(settings(folder), began);
    CaptureFiles second(settings(folder), began);
    CHECK(second.path().ends_with("20261130T180509Z-1.pcapng"));  // a ring of its own
    second.next_file();
    fs::remove(folder.file("captures/capture-20261130T180509Z-1.pcapng"));
    CHECK(CaptureFiles(settings(folder), began).path().ends_with("20261130T180510Z-1.pcapng"));
    auto named = settings(folder);
    named.file = folder.file("one.pcapng");
    const CaptureFiles one(named, began);
    CHECK(mode(one.path()) == 0600);
    CHECK(why_refused(named) == CaptureEnd::disk);
    fs::create_symlink(folder.file("target"), folder.file("link.pcapng"));
    named.file = folder.file("link.pcapng");
    CHECK(why_refused(named) == CaptureEnd::disk);
    CHECK_FALSE(fs::exists(folder.file("target")));
}

TEST_CASE("capture files: a folder that others may enter, or behind a symbolic link, is refused") {
    const Folder folder;
    fs::create_directory(folder.file("open"));
    ::chmod(folder.file("open").c_str(), 0750);
    auto wanted = settings(folder);
    wanted.dir = folder.file("open");
    CHECK(why_refused(wanted) == CaptureEnd::disk);
    ::chmod(folder.file("open").c_str(), 0700);
    CHECK(why_refused(wanted) == CaptureEnd::none);
    fs::create_symlink(folder.file("open"), folder.file("link"));
    for (const char* name : {"link", "link/", "./link//"}) {
        wanted.dir = folder.file(name);
        CHECK(why_refused(wanted) == CaptureEnd::disk);
        wanted.file = "by-name.pcapng";
        CHECK(why_refused(wanted) == CaptureEnd::disk);
        wanted.file.clear();
    }
    wanted.dir = folder.file("open/capture-20261130T180508Z-1.pcapng");  // a file
    CHECK(why_refused(wanted) == CaptureEnd::disk);
}

TEST_CASE("capture files: the oldest goes when the ring is full, but none that is written") {
    const Folder folder;
    CaptureFiles other(settings(folder), began - std::chrono::hours(1));
    other.write(block(700));
    CaptureFiles files(settings(folder), began);
    for (int i = 0; i < 8; ++i) {
        files.write(block(700));
        CHECK(files.wants_next(700));
        files.next_file();
        std::uint64_t total = 0;
        for (const std::string& name : names(files.where())) total += fs::file_size(files.where() + "/" + name);
        CHECK(total <= 3'000);
    }
    const auto left = names(files.where());
    CHECK(left.size() == 5);
    CHECK(left.front() == "capture-20261130T170508Z-1.pcapng");
    CHECK(left[1] == "capture-20261130T180508Z-6.pcapng");
    CHECK(fs::exists(other.path()));
}

TEST_CASE("capture files: other files in the folder stay") {
    const Folder folder;
    auto small = settings(folder);
    fs::create_directory(folder.file("captures"));
    ::chmod(folder.file("captures").c_str(), 0700);
    for (const char* name : {"mine.pcapng", "capture-x.txt", "capture-incident0.pcapng"})
        std::ofstream(folder.file("captures/" + std::string(name))) << std::string(5'000, 'x');
    CaptureFiles files(small, began);
    files.write(block(900));
    files.next_file();
    CHECK(fs::exists(folder.file("captures/mine.pcapng")));
    CHECK(fs::exists(folder.file("captures/capture-x.txt")));
    CHECK(fs::exists(folder.file("captures/capture-incident0.pcapng")));
}

TEST_CASE("capture files: a file that is too old is followed by another one") {
    const Folder folder;
    auto now = settings(folder);
    CHECK_FALSE(CaptureFiles(now, began).wants_next(1));
    now.max_file_age = std::chrono::milliseconds(0);
    CHECK(CaptureFiles(now, began).wants_next(1));
    now.file = folder.file("one.pcapng");
    CHECK_FALSE(CaptureFiles(now, began).wants_next(100'000));
}

TEST_CASE("capture files: a disk that takes part of a write keeps whole blocks alone") {
    const Folder folder;
    auto wanted = settings(folder);
    CaptureFiles files(wanted, began);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit limit{.rlim_cur = 1'000, .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    protocol::Buffer two = block(400);
    const std::size_t first = two.size();
    const protocol::Buffer more = block(900);
    two.insert(two.end(), more.begin(), more.end());
    CaptureEnd end = CaptureEnd::none;
    try {
        files.write(two);
    } catch (const CaptureOver& over) {
        end = over.end();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, ignored);
    CHECK(end == CaptureEnd::disk);
    CHECK(fs::file_size(files.path()) == first);
    CHECK(files.written() == first);
    CHECK(support::blocks_of(content(files.path())).size() == 1);
}

TEST_CASE("capture files: a file that was deleted, or a disk that fills up, ends the capture") {
    const Folder folder;
    CaptureFiles files(settings(folder), began);
    files.look();
    fs::remove(files.path());
    CHECK_THROWS_AS(files.look(), CaptureOver);
    CHECK_THROWS_AS(files.write(block(10)), CaptureOver);
    auto wanted = settings(folder);
    wanted.min_free_space = std::uint64_t{1} << 60;
    CHECK(why_refused(wanted) == CaptureEnd::disk);
    CHECK(names(folder.file("captures")).empty());
}

TEST_CASE("capture files: files that are being written count as what they are, and one ring's own oldest goes for it") {
    const Folder folder;
    auto wanted = settings(folder);
    wanted.max_file_size = 3'000;
    CaptureFiles first(wanted, began), second(wanted, began);
    std::uint64_t most = 0;
    for (int i = 0; i < 40; ++i) {
        for (CaptureFiles* files : {&first, &second}) {
            const auto more = block(300);
            const auto room = files->room_for(more.size());
            CHECK(room != CaptureFiles::Room::nowhere);
            if (room == CaptureFiles::Room::in_next_file) files->next_file();
            files->write(more);
            std::uint64_t total = 0;
            for (const std::string& name : names(files->where())) total += fs::file_size(files->where() + "/" + name);
            most = std::max(most, total);
        }
    }
    CHECK(most <= wanted.max_total_size);
    CHECK(most > wanted.max_total_size / 2);
    CHECK(first.removed() + second.removed() > 0);
}

TEST_CASE("capture files: one that somebody named counts, is never removed, and may leave no room") {
    const Folder folder;
    auto wanted = settings(folder);
    {
        auto by_name = wanted;
        by_name.file = "incident.pcapng";
        CaptureFiles named(by_name, began);
        protocol::Buffer much;
        protocol::pcapng::append_section(much, "pgairlock 1.0", {}, std::string(2'500, 'x'));
        named.write(much);
    }
    CaptureFiles ring(wanted, began);
    for (int i = 0; i < 5; ++i) {
        ring.write(block(900));
        ring.next_file();
        std::uint64_t total = 0;
        for (const std::string& name : names(ring.where())) total += fs::file_size(ring.where() + "/" + name);
        CHECK(total <= wanted.max_total_size);
    }
    CHECK(fs::exists(folder.file("captures/incident.pcapng")));
    CHECK(ring.removed() == 5);
    wanted.max_total_size = 2'000;
    CHECK(why_refused(wanted) == CaptureEnd::size);
    CHECK(fs::exists(folder.file("captures/incident.pcapng")));
}

TEST_CASE("capture files: what would be in the way is told without making anything") {
    const Folder folder;
    const auto obstacle = [&](const std::string& name, std::uint64_t min_free = 0) {
        return proxy::CaptureFolder::obstacle(folder.file(name), min_free);
    };
    CHECK(obstacle("captures") == "");
    CHECK(obstacle("not/there/yet") == "");
    CHECK_FALSE(fs::exists(folder.file("captures")));
    CHECK_FALSE(fs::exists(folder.file("not")));
    fs::create_directory(folder.file("open"));
    ::chmod(folder.file("open").c_str(), 0755);
    CHECK(obstacle("open").find("chmod 700") != std::string::npos);
    ::chmod(folder.file("open").c_str(), 0700);
    CHECK(obstacle("open") == "");
    CHECK(obstacle("open", std::uint64_t{1} << 60).find("min_free_space") != std::string::npos);
    CHECK(obstacle("captures", std::uint64_t{1} << 60).find("min_free_space") != std::string::npos);
    fs::create_symlink(folder.file("open"), folder.file("link"));
    CHECK(obstacle("link").find("symbolic link") != std::string::npos);
    std::ofstream(folder.file("file")) << "x";
    CHECK(obstacle("file").find("no folder") != std::string::npos);
    CHECK(obstacle("file/captures") != "");
}

namespace {

/// Files that somebody named: each is opened when the folder is looked at, which takes a while.
void put_named_files(const std::string& dir, int count) {
    fs::create_directories(dir);
    fs::permissions(dir, fs::perms::owner_all);
    for (int i = 0; i < count; ++i)
        proxy::OwnedDescriptor(
            ::open((dir + "/named-" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

}  // namespace

TEST_CASE("capture files: what others write while one looks at the folder still counts") {
    const Folder folder;
    const std::string dir = folder.file("captures");
    put_named_files(dir, 2'000);
    const proxy::OwnedDescriptor opened(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const proxy::OwnedDescriptor watch(::inotify_init1(IN_CLOEXEC));
    REQUIRE(::inotify_add_watch(watch.get(), dir.c_str(), IN_CLOSE_NOWRITE) >= 0);
    proxy::CaptureFolder shared;
    constexpr std::uint64_t written = 500'000;
    std::vector<proxy::CaptureFolder::Removed> removed;
    std::thread looking([&] { shared.make_room(opened.get(), 1, 1 << 30, removed); });
    std::array<char, 4'096> event{};
    REQUIRE(::read(watch.get(), event.data(), event.size()) > 0);  // it has seen one of them
    shared.wrote(written);
    looking.join();
    CHECK_FALSE(shared.has_room(1, written));
    CHECK(shared.has_room(1, written + 1));
}

TEST_CASE("capture files: what several remove at the same time counts for one of them") {
    const Folder folder;
    const std::string dir = folder.file("captures");
    fs::create_directories(dir);
    constexpr int count = 2'000;
    for (int i = 0; i < count; ++i)
        proxy::OwnedDescriptor(::open((dir + "/capture-20261130T180508Z-" + std::to_string(i + 1) + ".pcapng").c_str(),
                                      O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const proxy::OwnedDescriptor opened(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::array<proxy::CaptureFolder, 2> processes;  // each has its own
    std::array<std::vector<proxy::CaptureFolder::Removed>, 2> removed;
    std::thread other([&] { processes[1].make_room(opened.get(), 2, 1, removed[1]); });
    processes[0].make_room(opened.get(), 2, 1, removed[0]);
    other.join();
    for (auto& process : processes) process.make_room(opened.get(), 2, 1, removed[0]);
    CHECK(names(dir).empty());
    CHECK(removed[0].size() + removed[1].size() == count);
}
