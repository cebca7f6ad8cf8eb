#include "config/spelling.hpp"

#include <array>

#include "support/catch.hpp"

using config::nearest;

TEST_CASE("a word that is a part of a known one means that one, unless it is a slip of another") {
    constexpr std::array<std::string_view, 5> known{"ca_file", "cert_file", "key_file", "ssl_crl_file", "ssl_ciphers"};
    CHECK(nearest("crl_file", known) == "ssl_crl_file");
    CHECK(nearest("ciphers", known) == "ssl_ciphers");
    CHECK(nearest("key_fiel", known) == "key_file");
    CHECK(nearest("c_file", known) == "ca_file");
    // Of several that it is a part of, none.
    CHECK_FALSE(nearest("ssl", known));
    CHECK_FALSE(nearest("", known));
    constexpr std::array<std::string_view, 2> ca{"ca_file", "cab_file"};
    CHECK(nearest("ca_fil", ca) == "ca_file");
}
