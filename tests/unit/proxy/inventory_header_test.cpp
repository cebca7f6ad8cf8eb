#include "proxy/inventory/inventory_header.hpp"

#include <algorithm>
#include <string>

#include "proxy/inventory/inventory_schema.hpp"
#include "support/catch.hpp"

using proxy::inventory_header_fault;

namespace {

/// With that user_version.
protocol::Buffer header(std::uint8_t version) {
    protocol::Buffer bytes(proxy::inventory_header_size, 0);
    const std::string_view magic("SQLite format 3");
    std::copy(magic.begin(), magic.end(), bytes.begin());
    bytes[63] = version;
    return bytes;
}

}  // namespace

TEST_CASE("a file that is no inventory is known by its first bytes") {
    CHECK(inventory_header_fault({}).empty());
    for (std::uint8_t version = 0; version <= proxy::inventory_version; ++version)
        CHECK(inventory_header_fault(header(version)).empty());
    CHECK(inventory_header_fault(header(200)) == "made by a newer pgairlock (its version is 200, this one knows " +
                                                     std::to_string(proxy::inventory_version) + ")");
    protocol::Buffer wide = header(3);
    wide[60] = 1;
    CHECK(inventory_header_fault(wide).starts_with("made by a newer pgairlock"));
    protocol::Buffer other = header(3);
    other[15] = 'x';
    CHECK(inventory_header_fault(other) == "it is no SQLite database");
    protocol::Buffer cut = header(3);
    cut.pop_back();
    CHECK(inventory_header_fault(cut) == "it is no SQLite database");
    CHECK(inventory_header_fault(protocol::as_bytes("{}")) == "it is no SQLite database");
}
