// What replay knows to be missing in the captures that it plays.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "bench/replay/capture.hpp"
#include "protocol/pcapng.hpp"
#include "protocol/tcp_conversation.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

namespace pcapng = protocol::pcapng;
using Sender = protocol::TcpConversation::Sender;
using bench::replay::Capture;
using bench::replay::read_capture;

constexpr std::uint64_t start = 1'772'330'400'000'000'000;

/// A file of a capture, block by block.
class Written {
   public:
    explicit Written(const std::string& comment = "capture 1 by uid 0 (root); payload=full") {
        pcapng::append_section(bytes_, "pgairlock", "Linux", comment);
        pcapng::append_interface(bytes_, "orders client leg", "");
        pcapng::append_interface(bytes_, "orders server leg", "");
    }
    Written& entry(const std::string& line) {
        const std::vector<pcapng::Field> fields{{"__REALTIME_TIMESTAMP", "1772330400000000"}, {"MESSAGE", line}};
        pcapng::append_journal_entry(bytes_, fields);
        return *this;
    }
    Written& absence(const std::string& session, const std::string& reason) {
        return entry(R"({"event":"capture_absence","capture":1,"session":")" + session + R"(","reason":")" + reason +
                     R"("})");
    }
    Written& absences(int left_out, int not_entered, int entries) {
        return entry(R"({"event":"capture_absence","capture":1,"left_out":)" + std::to_string(left_out) +
                     R"(,"not_entered":)" + std::to_string(not_entered) + R"(,"entries_dropped":)" +
                     std::to_string(entries) + "}");
    }
    /// The first packet of a session's conversation; `dropped` before it.
    Written& session(const std::string& name, std::uint64_t dropped = 0) {
        const std::vector<std::string> comments{"session=" + name + " user=app database=orders leg=client"};
        bool first = true;
        protocol::TcpConversation tcp(protocol::endpoint("10.0.0.7", 40'000), protocol::endpoint("10.0.0.1", 5432));
        tcp.open([&](Sender from, protocol::Bytes bytes) {
            pcapng::Packet packet{.interface = 0, .time = start, .bytes = bytes};
            packet.direction = from == Sender::client ? pcapng::Direction::inbound : pcapng::Direction::outbound;
            if (first) packet.comments = comments;
            if (first) packet.dropped = dropped;
            first = false;
            pcapng::append_packet(bytes_, packet);
        });
        return *this;
    }
    Written& end(std::uint64_t dropped = 0) {
        for (const std::uint32_t interface : {0u, 1u})
            pcapng::append_statistics(
                bytes_,
                {.interface = interface, .time = start, .received = 0, .dropped = interface == 0 ? dropped : 0});
        return *this;
    }
    std::string into(const std::string& path) const {
        std::ofstream(path, std::ios::binary) << protocol::as_text(bytes_);
        return path;
    }

   private:
    protocol::Buffer bytes_;
};

std::vector<std::string> lacks(const std::vector<std::string>& files, const std::set<std::string>& only = {}) {
    return bench::replay::read_capture(files, {}, only).lacks;
}

bool says(const std::vector<std::string>& texts, const std::string& part) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("replay is silent about a capture that is whole") {
    const support::Folder folder;
    CHECK(lacks({Written().session("s-1").end().into(folder.file("a.pcapng"))}).empty());
}

TEST_CASE("packets that were dropped at a capture's end are said before a replay, and those of two captures added") {
    const support::Folder folder;
    const std::string a = Written().session("s-1", 3).end(100).into(folder.file("a.pcapng"));
    CHECK(lacks({a}) == std::vector<std::string>{"100 packets found no room and were dropped (orders client leg)"});
    const std::string b = Written().end(50).into(folder.file("b.pcapng"));
    CHECK(lacks({a, b}) == std::vector<std::string>{"150 packets found no room and were dropped (orders client leg)"});
    // Files of one ring count on.
    const std::string one = Written().end(7).into(folder.file("capture-20260301T020000Z-1.pcapng"));
    const std::string two = Written().end(9).into(folder.file("capture-20260301T020000Z-2.pcapng"));
    CHECK(lacks({one, two}) ==
          std::vector<std::string>{"9 packets found no room and were dropped (orders client leg)"});
}

TEST_CASE("sessions that a capture has left out are said before a replay, with their reason or their number") {
    const support::Folder folder;
    const std::string a = Written()
                              .absence("s-1", "no_memory")
                              .absence("s-2", "not_entered")
                              .absence("s-3", "not_entered")
                              .session("s-3")
                              .absence("s-4", "eaten_by_moths")
                              .absences(4, 3, 1)
                              .end()
                              .into(folder.file("a.pcapng"));
    const auto texts = lacks({a});
    CHECK(says(texts, "1 session left out for lack of memory"));
    CHECK(says(texts, "1 session open before the capture, and not in it so far"));
    CHECK(says(texts, "1 session absent for a reason that this version does not know (eaten_by_moths)"));
    CHECK(says(texts, "2 sessions left out of the capture, or not whole in it, without an entry"));
    CHECK(says(texts, "2 sessions open before the capture, and not in it, without an entry"));
    CHECK(says(texts, "1 audit event found no room"));
    // Who is not asked for is of no interest; who has no name may be.
    const auto of_one = lacks({a}, {"s-2"});
    CHECK_FALSE(says(of_one, "no_memory"));
    CHECK_FALSE(says(of_one, "lack of memory"));
    CHECK(says(of_one, "1 session open before the capture"));
    CHECK(says(of_one, "2 sessions left out of the capture, or not whole in it, without an entry"));
}

TEST_CASE("files by name are captures of their own, whatever their comments say") {
    const support::Folder folder;
    const std::string a = Written().absences(0, 7, 0).end().into(folder.file("a.pcapng"));
    const std::string b = Written().absences(1, 0, 0).end().into(folder.file("b.pcapng"));
    const auto texts = lacks({a, b});
    CHECK(says(texts, "7 sessions open before the capture"));
    CHECK(says(texts, "1 session left out"));
}

TEST_CASE("files of a ring that are not there, and files that are not closed, are said before a replay") {
    const support::Folder folder;
    const auto name = [&](int i) { return folder.file("capture-20260301T020000Z-" + std::to_string(i) + ".pcapng"); };
    std::vector<std::string> files;
    for (const int i : {2, 3, 6, 7}) files.push_back(Written().end().into(name(i)));
    Written().end().into(name(8));
    const auto texts = lacks(files);
    REQUIRE(texts.size() == 3);
    const std::string all = folder.file("capture-20260301T020000Z-*.pcapng");
    CHECK(says(texts, "file 1 of " + all + " is not among these"));
    CHECK(says(texts, "between the files that were given, 4 to 5 of " + all + " are missing"));
    CHECK(says(texts, "the ring goes on with " + name(8) + ", which was not given"));

    const auto open = lacks({Written().end().session("s-1").into(folder.file("open.pcapng"))});
    REQUIRE(open.size() == 1);
    CHECK(says(open, "open.pcapng has no closing statistics"));
    CHECK(
        says(lacks({Written("payload=full; failures only").end().into(folder.file("f.pcapng"))}), "trigger failures"));
}

TEST_CASE("a ring whose last file is gone is no whole capture") {
    const support::Folder folder;
    const std::string path = Written()
                                 .session("s-1")
                                 .entry(R"({"event":"capture_absence","capture":1,"left_out":0,"not_entered":0,)"
                                        R"("entries_dropped":0,"goes_on":true})")
                                 .end()
                                 .into(folder.file("capture-20260301T020000Z-1.pcapng"));
    const auto texts = lacks({path});
    REQUIRE(texts.size() == 1);
    CHECK(says(texts, "goes on behind file 1: the ring has removed them, or they were not given"));
}

TEST_CASE("a capture that is given twice is played once, however it is spelled") {
    const support::Folder folder;
    const std::string path = Written().session("s-1").end().into(folder.file("capture-20260301T020000Z-1.pcapng"));
    const std::string link = folder.file("link.pcapng"), other = folder.file("hard.pcapng");
    std::filesystem::create_symlink(path, link);
    std::filesystem::create_hard_link(path, other);
    const std::string dir = std::filesystem::path(path).parent_path().string();
    const std::vector<std::vector<std::string>> given{
        {path},       {path, path},     {path, dir + "/./" + std::filesystem::path(path).filename().string()},
        {link, path}, {other, path},    {dir},
        {dir, path},  {path, dir + "/"}};
    for (const auto& files : given) {
        CAPTURE(files);
        const Capture capture = read_capture(files, {}, {});
        CHECK(capture.sessions.size() == 1);
        CHECK(capture.repeated == 0);
        CHECK(capture.lacks.empty());
    }
}

TEST_CASE("a folder without captures is said to have none") {
    const support::Folder folder;
    const std::string dir = std::filesystem::path(folder.file("x")).parent_path().string();
    CHECK_THROWS_WITH(read_capture({dir}, {}, {}),
                      Catch::Matchers::Contains("no file in it whose name ends in .pcapng"));
}

TEST_CASE("a session that two captures hold is played once, from the one that has not blanked it") {
    const support::Folder folder;
    const std::string redacted = Written("capture 2 by uid 0 (root); payload=redacted")
                                     .session("s-1")
                                     .session("s-2")
                                     .end()
                                     .into(folder.file("a.pcapng"));
    const std::string full = Written().session("s-1").end().into(folder.file("b.pcapng"));
    for (const auto& files : {std::vector<std::string>{redacted, full}, {full, redacted}}) {
        const Capture capture = read_capture(files, {}, {});
        REQUIRE(capture.sessions.size() == 2);
        CHECK(capture.repeated == 1);
        CHECK_FALSE(capture.only_openings());
        for (const auto& session : capture.sessions) CHECK(session.openings == (session.facts.session == "s-2"));
    }
    CHECK(read_capture({redacted}, {}, {}).only_openings());
    CHECK_FALSE(read_capture({full}, {}, {}).only_openings());
}
