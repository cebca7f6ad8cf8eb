#include "protocol/capture_ring.hpp"

#include "support/catch.hpp"

using namespace protocol;
using Paths = std::vector<std::string>;

TEST_CASE("a ring's file has a number") {
    CHECK_FALSE(ring_file("/c/other-1.pcapng"));
    CHECK_FALSE(ring_file("/c/capture-.pcapng"));
    CHECK_FALSE(ring_file("/c/capture-x-1-headers.pcapng"));
    CHECK(ring_file("capture-20260301T020000Z-12.pcapng")->path(13) == "capture-20260301T020000Z-13.pcapng");
}

TEST_CASE("files of a ring are read by number, as no glob sorts them") {
    CHECK(in_reading_order({{.path = "capture-a-1.pcapng", .time = 1},
                            {.path = "capture-a-10.pcapng", .time = 10},
                            {.path = "capture-a-2.pcapng", .time = 2}}) ==
          Paths{"capture-a-1.pcapng", "capture-a-2.pcapng", "capture-a-10.pcapng"});
    // Also when its packets have other times: its clock was set back.
    CHECK(in_reading_order({{.path = "capture-a-2.pcapng", .time = 5}, {.path = "capture-a-1.pcapng", .time = 9}}) ==
          Paths{"capture-a-1.pcapng", "capture-a-2.pcapng"});
}

TEST_CASE("rings do not mix, and come by their first packet") {
    // By pairs alone there is no order: a-2 before other, other before b-1, b-1 before b-2 ...
    const std::vector<DatedFile> files{
        {.path = "capture-b-2.pcapng", .time = 1}, {.path = "other.pcapng", .time = 3},
        {.path = "capture-b-1.pcapng", .time = 5}, {.path = "capture-a-2.pcapng", .time = 0},
        {.path = "capture-a-1.pcapng", .time = 2}, {.path = "-", .time = 0}};
    const Paths expected{
        "-", "capture-b-1.pcapng", "capture-b-2.pcapng", "capture-a-1.pcapng", "capture-a-2.pcapng", "other.pcapng"};
    CHECK(in_reading_order(files) == expected);
    CHECK(in_reading_order({files.rbegin(), files.rend()}) == expected);
}

TEST_CASE("files of no ring come by time, and as given where that is the same") {
    CHECK(
        in_reading_order(
            {{.path = "c", .time = 2}, {.path = "b", .time = 1}, {.path = "a", .time = 1}, {.path = "b", .time = 1}}) ==
        Paths{"b", "a", "b", "c"});
    CHECK(in_reading_order({}).empty());
}

TEST_CASE("a file that is given twice is read once, by its name in a ring") {
    CHECK(in_reading_order({{.path = "a", .time = 1, .file = {{1, 7}}},
                            {.path = "./a", .time = 1, .file = {{1, 7}}},
                            {.path = "b", .time = 1, .file = {{2, 7}}}}) == Paths{"a", "b"});
    CHECK(in_reading_order({{.path = "link", .time = 1, .file = {{1, 7}}},
                            {.path = "capture-a-1.pcapng", .time = 1, .file = {{1, 7}}},
                            {.path = "other link", .time = 1, .file = {{1, 7}}}}) == Paths{"capture-a-1.pcapng"});
    CHECK(in_reading_order({{.path = "-"}, {.path = "-"}}) == Paths{"-", "-"});
}

TEST_CASE("what is no capture is said when its beginning is looked at") {
    FirstPacket first;
    const std::string text(64, 'x');
    CHECK_FALSE(first.look_at(as_bytes(text)));
    CHECK_FALSE(first.error().empty());
    CHECK(first.time() == 0);
    CHECK(FirstPacket().error().empty());
}
