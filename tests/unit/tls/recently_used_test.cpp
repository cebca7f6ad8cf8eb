#include "tls/recently_used.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using Map = tls::RecentlyUsed<std::string, int>;

std::vector<std::string> keys(const Map& map) {
    std::vector<std::string> all;
    for (const auto& [key, value] : map) all.push_back(key);
    return all;
}

}  // namespace

TEST_CASE("recently used: where it is full, the least recently used goes, and nothing else") {
    Map map(3);
    for (const char* const key : {"a", "b", "c"}) map.put(key, 1);
    REQUIRE(map.find("a"));
    map.put("d", 4);
    CHECK(keys(map) == std::vector<std::string>{"d", "a", "c"});
    CHECK_FALSE(map.find("b"));
    CHECK(map.size() == 3);
}

TEST_CASE("recently used: what is put again is replaced, and takes nobody's room") {
    Map map(2);
    map.put("a", 1);
    map.put("b", 2);
    CHECK(map.put("a", 3) == 3);
    CHECK(*map.find("a") == 3);
    CHECK(*map.find("b") == 2);
    CHECK(map.size() == 2);
}

TEST_CASE("recently used: what is erased is gone, and its room can be had") {
    Map map(2);
    map.put("a", 1);
    map.put("b", 2);
    map.erase("a");
    map.erase("never there");
    map.put("c", 3);
    CHECK(keys(map) == std::vector<std::string>{"c", "b"});
    map.clear();
    CHECK(map.size() == 0);
    CHECK_FALSE(map.find("b"));
    CHECK(map.put("d", 4) == 4);
}

TEST_CASE("recently used: what is put behind all others takes nobody's room, and no one's place") {
    Map map(3);
    map.put("a", 1);
    map.put("b", 2);
    CHECK(*map.put_oldest("a", 9) == 1);
    REQUIRE(map.put_oldest("c", 3));
    CHECK(keys(map) == std::vector<std::string>{"b", "a", "c"});
    CHECK_FALSE(map.put_oldest("d", 4));
    map.put("e", 5);
    CHECK(keys(map) == std::vector<std::string>{"e", "b", "a"});
    CHECK(*map.put_oldest("e", 9) == 5);
    map.erase("b");
    CHECK(map.put_oldest("c", 3));
    CHECK(*map.find("c") == 3);
}
