#include "proxy/capture/capture.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <list>
#include <thread>

#include "protocol/tcp_conversation.hpp"
#include "support/capture_file.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::as_bytes;
using protocol::Buffer;
using proxy::Capture;
using proxy::CaptureEnd;
using proxy::CaptureFiles;
using proxy::CaptureOrder;
using proxy::CaptureOver;
using proxy::CaptureStream;
using proxy::OwnedDescriptor;
using support::blocks_of;
using support::content;
using support::Folder;
using support::only;
namespace pcapng = protocol::pcapng;

CaptureFiles::Settings files(const Folder& folder, std::uint64_t max_file_size = 1 << 20) {
    return {.dir = folder.file("captures"),
            .file = {},
            .max_file_size = max_file_size,
            .max_total_size = 1 << 24,
            .min_free_space = 0,
            .max_file_age = 1h};
}

CaptureOrder order(std::optional<std::chrono::milliseconds> lasts = {}) {
    CaptureOrder made;
    made.lasts = lasts;
    made.by = "test";
    return made;
}

std::uint64_t now() { return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() / 1ns); }

std::chrono::steady_clock::time_point never() { return std::chrono::steady_clock::time_point::max(); }

/// Writes all that was put in, and ends.
CaptureEnd run_to_end(Capture& capture, CaptureEnd why = CaptureEnd::stopped) {
    capture.end(why);
    std::string text;
    return capture.run(text);
}

}  // namespace

TEST_CASE("capture: a file has section, interfaces, packets and statistics") {
    const Folder folder;
    Capture capture(7, order(), files(folder));
    auto& client = capture.interface("legacy client leg", "clients");
    auto& server = capture.interface("legacy server leg", "servers");
    CHECK(&capture.interface("legacy client leg", "another text") == &client);
    capture.name("10.0.0.1", "db.example.com");
    const Buffer bytes(40, 'x');
    capture.write({.interface = &client, .time = now(), .bytes = bytes, .id = 5});
    capture.write(
        {.interface = &server, .time = now(), .bytes = bytes, .direction = pcapng::Direction::outbound, .id = 5});
    const std::string path = capture.status().file;
    CHECK(run_to_end(capture) == CaptureEnd::stopped);

    const auto blocks = blocks_of(content(path));
    const auto interfaces = only<pcapng::InterfaceBlock>(blocks);
    REQUIRE(interfaces.size() == 2);
    CHECK(interfaces[1].name == "legacy server leg");
    const auto packets = only<pcapng::PacketBlock>(blocks);
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].interface == 0);
    CHECK(packets[1].interface == 1);
    CHECK(packets[0].id == packets[1].id);
    CHECK(only<pcapng::NamesBlock>(blocks).at(0).names.at(0).name == "db.example.com");
    const auto statistics = only<pcapng::Statistics>(blocks);
    REQUIRE(statistics.size() == 2);
    CHECK(statistics[0].received == 1);
    CHECK(statistics[0].dropped == 0);
    CHECK(capture.status().packets == 2);
    CHECK(capture.status().bytes == std::filesystem::file_size(path));
}

TEST_CASE("capture: its file is closed when it is over, however long a session still holds on to it") {
    const Folder folder;
    Capture capture(1, order(), files(folder));
    const std::string path = capture.status().file;
    const auto is_open = [&] {
        const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
        return std::any_of(begin(entries), end(entries), [&](const auto& entry) {
            std::error_code gone;
            return std::filesystem::read_symlink(entry, gone) == path;
        });
    };
    CHECK(is_open());
    run_to_end(capture);
    CHECK_FALSE(is_open());
}

TEST_CASE("capture: what finds no room is dropped, counted, and told in the file where it is missing") {
    const Folder folder;
    constexpr std::size_t room = 10'000;
    Capture capture(1, order(), files(folder), {}, {.queue_bytes = room});
    auto& leg = capture.interface("leg", "");
    const Buffer bytes(1'000, 'x');
    // Nobody reads the queue: a disk that hangs.
    for (int i = 0; i < 100; ++i) capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    const std::uint64_t dropped = capture.status().dropped;
    CHECK(dropped >= 90);
    CHECK(dropped < 100);
    std::string why;
    std::thread writer([&] { capture.run(why); });
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (capture.status().packets < 100 - dropped && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(1ms);
    // Room again, but for the first that finds none until the next batch is taken.
    std::uint64_t told = 0;
    do {
        capture.write({.interface = &leg, .time = now(), .bytes = bytes});
        std::this_thread::sleep_for(1ms);
    } while (capture.status().packets == 100 - dropped && std::chrono::steady_clock::now() < deadline);
    capture.end(CaptureEnd::stopped);
    writer.join();
    const auto blocks = blocks_of(content(capture.status().file));
    for (const auto& packet : only<pcapng::PacketBlock>(blocks)) told += packet.dropped;
    CHECK(told >= dropped);
    CHECK(only<pcapng::Statistics>(blocks).at(0).dropped == capture.status().dropped);
}

TEST_CASE("capture: an audit event that finds no room is counted, here and at the file's end") {
    const Folder folder;
    Capture capture(1, order(), files(folder), {}, {.queue_bytes = 10'000});
    capture.interface("leg", "");
    for (int i = 0; i < 100; ++i) capture.write_journal(Buffer(1'000, 'x'));
    const std::uint64_t dropped = capture.status().entries_dropped;
    CHECK(dropped >= 90);
    CHECK(dropped < 100);
    capture.end(CaptureEnd::disk);  // the rest cannot be written either
    std::string why;
    capture.run(why);
    capture.write_journal(Buffer(1'000, 'x'));  // nobody wants it any more
    CHECK(capture.status().entries_dropped >= dropped);
    CHECK(capture.status().dropped == 0);
}

TEST_CASE("capture: an audit event in what the disk did not take is counted, and so are the packets") {
    const Folder folder;
    CaptureFiles::Settings settings = files(folder);
    Capture capture(1, order(), settings);
    auto& leg = capture.interface("leg", "");
    capture.write({.interface = &leg, .time = now(), .bytes = Buffer(100, 'x')});
    capture.write_journal(Buffer(100, 'x'));
    capture.write_journal(Buffer(100, 'x'));
    std::filesystem::remove(capture.status().file);  // the next write fails
    CHECK(run_to_end(capture) == CaptureEnd::removed);
    CHECK(capture.status().packets == 0);
    CHECK(capture.status().dropped == 1);
    CHECK(capture.status().entries_dropped == 2);
}

TEST_CASE("capture: the rest of a message that began in the file before is not dropped for lack of room") {
    const Folder folder;
    Capture capture(1, order(), files(folder));
    auto& leg = capture.interface("leg", "");
    const auto put = [&](std::size_t of_before, std::uint32_t at, std::size_t size) {
        proxy::CapturePacket packet{.interface = &leg, .time = now()};
        protocol::TcpConversation tcp(protocol::endpoint("10.0.0.1", 4000), protocol::endpoint("10.0.0.2", 5432), at);
        tcp.data(protocol::TcpConversation::Sender::client, Buffer(size, 'x'),
                 [&](auto, protocol::Bytes bytes) { packet.bytes.assign(bytes.begin(), bytes.end()); });
        packet.place = {.conversation = 1, .from_client = true, .of_before = of_before};
        capture.write(std::move(packet));
    };
    put(10, 100, 10);  // nothing of it begins here
    put(0, 500, 10);
    run_to_end(capture);
    const auto status = capture.status();
    CHECK(status.packets == 1);
    CHECK(status.dropped == 0);
    CHECK(status.rests == 1);
    const auto statistics = only<pcapng::Statistics>(blocks_of(content(status.file)));
    CHECK(statistics.at(0).received == 2);
    CHECK(statistics.at(0).dropped == 0);
}

TEST_CASE("capture: every file of a ring begins with what is needed to read it") {
    const Folder folder;
    Capture capture(1, order(), files(folder, 5'000));
    auto& leg = capture.interface("leg", "");
    capture.name("10.0.0.1", "db");
    capture.write_secrets(9, "CLIENT_RANDOM 00 11\n");
    const Buffer bytes(1'000, 'x');
    for (int i = 0; i < 20; ++i) capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    capture.forget_secrets(9);
    for (int i = 0; i < 20; ++i) capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    run_to_end(capture);
    std::size_t packets = 0, with_secrets = 0;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder.file("captures"))) {
        CHECK(entry.file_size() <= 5'000);
        const auto blocks = blocks_of(content(entry.path()));
        REQUIRE(std::holds_alternative<pcapng::SectionBlock>(blocks.at(0)));
        CHECK(only<pcapng::InterfaceBlock>(blocks).size() == 1);
        CHECK(only<pcapng::NamesBlock>(blocks).size() == 1);
        packets += only<pcapng::PacketBlock>(blocks).size();
        with_secrets += only<pcapng::SecretsBlock>(blocks).size();
        paths.push_back(entry.path());
    }
    CHECK(packets == 40);
    CHECK(paths.size() >= 10);
    CHECK(with_secrets >= 4);
    CHECK(with_secrets < paths.size());
}

TEST_CASE("capture: nothing is written that came after its time, however late the disk is") {
    const Folder folder;
    Capture capture(1, order(1h), files(folder));
    auto& leg = capture.interface("leg", "");
    const Buffer bytes(10, 'x');
    capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    run_to_end(capture);
    CHECK(only<pcapng::PacketBlock>(blocks_of(content(capture.status().file))).size() == 1);
    Capture late(3, order(0ms), files(folder));
    auto& late_leg = late.interface("leg", "");
    late.write({.interface = &late_leg, .time = now(), .bytes = bytes});
    run_to_end(late);
    CHECK(late.status().packets == 0);
    CHECK(late.status().dropped == 1);
    Capture over(2, order(0ms), files(folder));
    std::string why;
    CHECK(over.run(why) == CaptureEnd::time);
    CHECK(over.over());
}

TEST_CASE("capture: max_size ends it") {
    const Folder folder;
    CaptureOrder wanted = order();
    wanted.max_size = 1'000'000;
    wanted.file = folder.file("captures/one.pcapng");
    Capture capture(1, wanted, files(folder, 1'000));
    CHECK(capture.status().where == wanted.file);
    auto& leg = capture.interface("leg", "");
    const Buffer bytes(50'000, 'x');
    for (int i = 0; i < 100; ++i) capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    std::string why;
    CHECK(capture.run(why) == CaptureEnd::size);
    CHECK(std::filesystem::file_size(wanted.file) >= 1'000'000);
    CHECK(std::filesystem::file_size(wanted.file) < 1'500'000);
    CHECK_FALSE(blocks_of(content(wanted.file)).empty());
    CHECK(capture.status().packets == only<pcapng::PacketBlock>(blocks_of(content(wanted.file))).size());
    CHECK(capture.status().packets + capture.status().dropped == 100);  // the rest came before the end
    const std::uint64_t before = capture.status().bytes;
    capture.write({.interface = &leg, .time = now(), .bytes = bytes});  // taken by nobody
    CHECK(capture.status().bytes == before);
}

TEST_CASE("capture: a client gets it as CopyData, and the end of a COPY") {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    const Folder folder;
    Capture capture(1, order(), files(folder), OwnedDescriptor(fds[0]));
    CHECK(capture.status().where == "client");
    auto& leg = capture.interface("leg", "");
    const Buffer bytes(100, 'x');
    capture.write({.interface = &leg, .time = now(), .bytes = bytes});
    CHECK(run_to_end(capture) == CaptureEnd::stopped);
    std::string said(100'000, '\0');
    std::size_t size = 0;
    for (ssize_t n = 0; (n = ::read(fds[1], said.data() + size, said.size() - size)) > 0;)
        size += static_cast<std::size_t>(n);
    said.resize(size);
    ::close(fds[1]);
    std::string file, types;
    for (protocol::Reader reader(as_bytes(said)); !reader.rest().empty();) {
        types += static_cast<char>(reader.u8());
        const auto body = reader.take(reader.u32() - 4);
        REQUIRE(reader.ok());
        if (types.back() == 'd') file += protocol::as_text(body);
    }
    CHECK(types.ends_with("cCZ"));
    CHECK(types.find_first_not_of('d') == types.size() - 3);
    CHECK(only<pcapng::PacketBlock>(blocks_of(file)).size() == 1);
    CHECK_FALSE(std::filesystem::exists(folder.file("captures")));
}

TEST_CASE("capture: a client that goes, or takes nothing, ends it") {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    SECTION("goes") {
        Capture capture(1, order(), {}, OwnedDescriptor(fds[0]));
        ::close(fds[1]);
        std::string why;
        CHECK(capture.run(why) == CaptureEnd::client);
        CHECK(why.find("gone") != std::string::npos);
    }
    SECTION("takes nothing") {
        const int of_the_console = ::dup(fds[0]);
        CaptureStream stream(OwnedDescriptor{fds[0]}, never, 30ms);
        const Buffer much(8 * 1024 * 1024, 'x');
        CHECK_THROWS_AS(stream.write(much), CaptureOver);
        stream.close();  // in the middle of a message, so it says no more
        std::array<char, 65536> taken{};
        while (::recv(fds[1], taken.data(), taken.size(), MSG_DONTWAIT) > 0) {
        }
        CHECK(::recv(fds[1], taken.data(), taken.size(), MSG_DONTWAIT) == 0);
        CHECK(::recv(of_the_console, taken.data(), taken.size(), MSG_DONTWAIT) == 0);
        ::close(of_the_console);
        ::close(fds[1]);
    }
    SECTION("says something first") {
        CaptureStream stream(OwnedDescriptor{fds[0]}, never);
        REQUIRE(::write(fds[1], "X\0\0\0\4", 5) == 5);
        stream.look();
        std::array<char, 8> said{};
        CHECK(::recv(fds[0], said.data(), said.size(), MSG_DONTWAIT) == 5);  // left for the console
        ::close(fds[1]);
        CHECK_THROWS_AS(stream.look(), CaptureOver);
    }
}

namespace {

/// A capture that is written to a client, by a thread of its own.
struct Streamed {
    explicit Streamed(std::chrono::milliseconds drain) {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        client = OwnedDescriptor(fds[1]);
        of_the_console = OwnedDescriptor(::dup(fds[0]));
        capture = std::make_unique<Capture>(1, order(), CaptureFiles::Settings{}, OwnedDescriptor(fds[0]),
                                            proxy::CaptureLimits{.drain = drain});
        leg = &capture->interface("leg", "");
        writer = std::thread([this] {
            end = capture->run(why);
            over = true;
        });
        // Its beginning is sent: it waits for what comes.
        while (capture->status().bytes == 0 && before_deadline()) std::this_thread::sleep_for(1ms);
    }
    ~Streamed() {
        client.close();
        if (writer.joinable()) writer.join();
    }

    void put(int packets) {
        const Buffer bytes(100'000, 'x');
        for (int i = 0; i < packets; ++i) capture->write({.interface = leg, .time = now(), .bytes = bytes});
    }
    bool before_deadline() const { return std::chrono::steady_clock::now() < deadline; }
    /// What the client has not taken so far, to the end of the COPY or of the connection.
    std::string rest() {
        std::string all;
        std::array<char, 65536> some{};
        while (before_deadline()) {
            const ssize_t n = ::recv(client.get(), some.data(), some.size(), MSG_DONTWAIT);
            if (n > 0) all.append(some.data(), static_cast<std::size_t>(n));
            if (n == 0 || (n < 0 && over)) break;
            if (n < 0) std::this_thread::sleep_for(1ms);
        }
        return all;
    }

    const std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + 60s;
    OwnedDescriptor client, of_the_console;
    std::unique_ptr<Capture> capture;
    proxy::CaptureInterface* leg = nullptr;
    std::string why;
    CaptureEnd end = CaptureEnd::none;
    std::atomic<bool> over{false};
    std::thread writer;
};

std::size_t packets_in(const std::string& copy) {
    std::string file;
    for (protocol::Reader reader(as_bytes(copy)); !reader.rest().empty();) {
        const char type = static_cast<char>(reader.u8());
        const auto body = reader.take(reader.u32() - 4);
        if (!reader.ok()) break;
        if (type == 'd') file += protocol::as_text(body);
    }
    return only<pcapng::PacketBlock>(blocks_of(file)).size();
}

}  // namespace

TEST_CASE("capture: what came before its time was over is written, although its client was late") {
    Streamed streamed(60s);
    streamed.put(20);  // more than the socket takes: the thread waits within these
    streamed.put(20);
    streamed.capture->end_after(0ms);
    const std::string copy = streamed.rest();
    streamed.writer.join();
    CHECK(streamed.end == CaptureEnd::time);
    CHECK(packets_in(copy) == 40);
    CHECK(streamed.capture->status().packets == 40);
    CHECK(streamed.capture->status().dropped == 0);
}

TEST_CASE("capture: a client that takes a byte now and then does not keep one that is over from its end") {
    for (const bool by_time : {false, true}) {
        Streamed streamed(300ms);
        streamed.put(40);
        const auto taking = std::chrono::steady_clock::now();
        if (by_time) {
            streamed.capture->end_after(0ms);
        } else {
            streamed.capture->end(CaptureEnd::stopped, "uid 7");
        }
        char byte = 0;
        while (!streamed.over && streamed.before_deadline()) {
            ::recv(streamed.client.get(), &byte, 1, MSG_DONTWAIT);
            std::this_thread::sleep_for(1ms);
        }
        CHECK(streamed.over);
        CHECK(std::chrono::steady_clock::now() - taking >= 300ms);
        const std::string copy = streamed.rest();
        streamed.writer.join();
        CHECK(streamed.end == (by_time ? CaptureEnd::time : CaptureEnd::stopped));
        CHECK(streamed.why.find("too slow") != std::string::npos);
        CHECK(copy.size() < 4'000'000);
        const proxy::CaptureStatus status = streamed.capture->status();
        CHECK(status.dropped > 0);
        CHECK(status.packets + status.dropped == 40);
        CHECK(status.stopped_by == (by_time ? "" : "uid 7"));
        // Of the console as well: its session sees the end of the connection.
        char left = 0;
        CHECK(::recv(streamed.of_the_console.get(), &left, 1, MSG_DONTWAIT) == 0);
    }
}

TEST_CASE("capture: what a client that goes has not got is counted as dropped") {
    Streamed streamed(60s);
    streamed.put(40);
    streamed.client.close();
    streamed.writer.join();
    CHECK(streamed.end == CaptureEnd::client);
    const proxy::CaptureStatus status = streamed.capture->status();
    CHECK(status.packets + status.dropped == 40);
    CHECK(status.dropped > 30);
}

TEST_CASE("capture: a ring that is full says how many older files it removed") {
    const Folder folder;
    CaptureFiles::Settings small = files(folder, 5'000);
    small.max_total_size = 20'000;
    Capture capture(1, order(), small);
    auto& leg = capture.interface("leg", "");
    for (int i = 0; i < 40; ++i) capture.write({.interface = &leg, .time = now(), .bytes = Buffer(1'000, 'x')});
    CHECK(run_to_end(capture) == CaptureEnd::stopped);
    std::uint64_t total = 0, left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(small.dir)) {
        total += entry.file_size();
        ++left;
    }
    CHECK(total <= 20'000);
    const std::string last = capture.status().file;
    const std::uint64_t made = std::stoul(last.substr(last.rfind('-') + 1));
    CHECK(made > left);
    CHECK(capture.status().files_removed == made - left);
}

TEST_CASE("capture: captures that share a folder stay within max_total_size together, and none fails for that") {
    const Folder folder;
    CaptureFiles::Settings small = files(folder, 10'000);
    small.max_total_size = 20'000;
    std::list<Capture> captures;
    for (std::uint64_t id = 1; id <= 4; ++id) captures.emplace_back(id, order(), small);
    for (Capture& capture : captures) {
        auto& leg = capture.interface("leg", "");
        for (int i = 0; i < 30; ++i) capture.write({.interface = &leg, .time = now(), .bytes = Buffer(1'000, 'x')});
        CHECK(run_to_end(capture) == CaptureEnd::stopped);
        std::uint64_t total = 0;
        for (const auto& entry : std::filesystem::directory_iterator(small.dir)) total += entry.file_size();
        CHECK(total <= 20'000);
        CHECK(capture.status().packets == 30);
    }
}

TEST_CASE("capture: one into a file of a name ends when that takes all of max_total_size, and says why") {
    const Folder folder;
    CaptureFiles::Settings small = files(folder, 5'000);
    small.max_total_size = 20'000;
    CaptureOrder wanted = order();
    wanted.file = "incident.pcapng";
    Capture capture(1, wanted, small);
    auto& leg = capture.interface("leg", "");
    for (int i = 0; i < 40; ++i) capture.write({.interface = &leg, .time = now(), .bytes = Buffer(1'000, 'x')});
    std::string why;
    CHECK(capture.run(why) == CaptureEnd::size);
    CHECK(why.find("max_total_size") != std::string::npos);
    CHECK(std::filesystem::file_size(small.dir + "/incident.pcapng") <= 20'200);
    CHECK(capture.status().packets + capture.status().dropped == 40);
    small.max_total_size = 10'000;
    CHECK_THROWS_AS(Capture(2, order(), small), CaptureOver);
    CHECK(std::filesystem::exists(small.dir + "/incident.pcapng"));
}
