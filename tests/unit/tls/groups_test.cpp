#include "tls/groups.hpp"

#include <stdexcept>

#include "config/config.hpp"
#include "support/catch.hpp"
#include "tls/handshake.hpp"

namespace {

using tls::Groups;

bool sends_several_shares() { return OpenSSL_version_num() >= 0x30500000UL; }

bool openssl_takes(const std::string& list) {
    const tls::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    return SSL_CTX_set1_groups_list(context.get(), list.c_str()) == 1;
}

}  // namespace

TEST_CASE("a plain list of groups stays as it is, with the share of the first") {
    const Groups groups("P-256:X25519:P-384");
    CHECK(groups.for_server() == "P-256:X25519:P-384");
    CHECK(groups.for_client() == (sends_several_shares() ? "*P-256:X25519:P-384" : "P-256:X25519:P-384"));
    CHECK(openssl_takes(groups.for_client()));
}

TEST_CASE("a group with a question mark is left out where OpenSSL has none of this name") {
    CHECK(Groups("?no-such-group:P-256").for_server() == "P-256");
    CHECK(Groups("P-256:?no-such-group:X448").for_server() == "P-256:X448");
    CHECK(Groups("?P-256").for_server() == "P-256");
    CHECK(Groups("*?no-such-group:?*X25519").for_server() == "X25519");
}

TEST_CASE("a group that must be there and is not is an error that says how to make it optional") {
    CHECK_THROWS_WITH(Groups("P-256:no-such-group"),
                      "\"no-such-group\" is no group of this OpenSSL; \"?no-such-group\" is left out where it is none");
    CHECK_THROWS_AS(Groups("?no-such-group"), std::invalid_argument);
    CHECK_THROWS_AS(Groups(""), std::invalid_argument);
    CHECK_THROWS_AS(Groups("P-256::X25519"), std::invalid_argument);
    CHECK_THROWS_AS(Groups("*"), std::invalid_argument);
}

TEST_CASE("a star puts a group's share into the first ClientHello, whatever OpenSSL this is") {
    const Groups groups("P-384:*X25519:P-256");
    CHECK(groups.for_client() == (sends_several_shares() ? "P-384:*X25519:P-256" : "X25519:P-384:P-256"));
    CHECK(groups.sends_share_of("X25519"));
    CHECK_FALSE(groups.sends_share_of("P-384"));
    CHECK(groups.for_server() == "P-384:X25519:P-256");
}

TEST_CASE("towards a server that chose another group its share is sent, by any of its names") {
    const Groups groups("P-256:X25519:secp384r1");
    CHECK(groups.sends_share_of("P-256"));
    CHECK_FALSE(groups.sends_share_of("X25519"));
    CHECK_FALSE(groups.sends_share_of("P-384"));
    CHECK(groups.for_client_of("P-384") ==
          (sends_several_shares() ? "*P-256:X25519:*secp384r1" : "secp384r1:P-256:X25519"));
    CHECK(openssl_takes(groups.for_client_of("X25519")));
}

TEST_CASE("of a group that is not in the list nothing is remembered, and nothing is sent") {
    const Groups groups("P-256:X25519");
    CHECK(groups.sends_share_of("P-521"));
    CHECK(groups.for_client_of("P-521") == groups.for_client());
}

TEST_CASE("the default of an upstream is taken by every OpenSSL, begins with P-256 and ends with what is rare") {
    const Groups groups(config::Upstream{}.ssl_groups);
    CHECK(openssl_takes(groups.for_client()));
    CHECK(groups.sends_share_of("P-256"));
    CHECK_FALSE(groups.sends_share_of("X25519"));
    CHECK(groups.for_server().ends_with(":P-384:P-521:X448"));
}
