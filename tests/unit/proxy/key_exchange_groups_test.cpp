#include "proxy/inventory/key_exchange_groups.hpp"

#include "support/catch.hpp"

using proxy::groups_of_text;
using proxy::groups_text;
using proxy::KeyExchangeGroups;
using proxy::merged_groups;
using proxy::note_group;

TEST_CASE("groups: each is there once, the last one first") {
    KeyExchangeGroups groups;
    note_group(groups, "P-256", true);
    note_group(groups, "X25519MLKEM768", true);
    note_group(groups, "P-256", true);
    CHECK(groups == KeyExchangeGroups{"P-256", "X25519MLKEM768"});
    note_group(groups, "X25519", false);  // seen before the others
    note_group(groups, "X25519MLKEM768", false);
    note_group(groups, "", true);  // in clear, or RSA's own exchange
    CHECK(groups == KeyExchangeGroups{"P-256", "X25519MLKEM768", "X25519"});
    for (int i = 0; i < 20; ++i) note_group(groups, std::to_string(i), true);
    CHECK(groups.size() == proxy::max_groups);
    CHECK(groups.front() == "19");
}

TEST_CASE("groups: a column holds them in their order, and what is no column is harmless") {
    const KeyExchangeGroups groups{"X25519MLKEM768", "P-256"};
    CHECK(groups_text(groups) == "X25519MLKEM768,P-256");
    CHECK(groups_of_text("X25519MLKEM768,P-256") == groups);
    CHECK(groups_text({}).empty());
    CHECK(groups_of_text("").empty());
    CHECK(groups_of_text(",,P-256,,P-256") == KeyExchangeGroups{"P-256"});
    CHECK(merged_groups({"P-256"}, {"X25519", "P-256"}) == KeyExchangeGroups{"P-256", "X25519"});
}
