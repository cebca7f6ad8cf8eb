#include "proxy/inventory/name_pattern.hpp"

#include "support/catch.hpp"

using proxy::name_pattern;

TEST_CASE("what never repeats in a name is a pattern") {
    CHECK(name_pattern("pgAdmin 4 - CONN:17") == "pgAdmin # - CONN:#");
    CHECK(name_pattern("lr60") == "lr#");
    CHECK(name_pattern("web-7d9f8b6c5d-x2x7z") == "web-#-#");
    CHECK(name_pattern("550e8400-e29b-41d4-a716-446655440000") == "#-#-#-#-#");
    CHECK(name_pattern("puma: cluster worker 3: 4711") == "puma: cluster worker #: #");
}

TEST_CASE("what repeats stays as it is") {
    for (const char* const name : {"", "psql", "PostgreSQL JDBC Driver", "nightly-export", "\xc3\xa4pfel"})
        CHECK(name_pattern(name) == name);
}
