#include "protocol/evidence.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::proves;
using protocol::SslMode;
using protocol::SslModeInterval;
using protocol::Verifies;

constexpr SslModeInterval anything{};

}  // namespace

// One test a row of the table of passive observations (docs/verification.md).

TEST_CASE("a StartupMessage in clear without SSLRequest proves at most allow") {
    CHECK(proves(Evidence::clear_startup) == SslModeInterval{SslMode::disable, SslMode::allow});
}

TEST_CASE("a clear StartupMessage after TLS from that address was refused may be prefer falling back") {
    CHECK(proves(Evidence::clear_startup_after_tls) == SslModeInterval{SslMode::disable, SslMode::prefer});
}

TEST_CASE("a clear StartupMessage at once after the same user was refused over TLS is prefer") {
    CHECK(proves(Evidence::clear_startup_after_tls_login) == SslModeInterval{SslMode::prefer, SslMode::prefer});
}

TEST_CASE("a clear StartupMessage after N proves at most prefer, and more than disable") {
    CHECK(proves(Evidence::clear_startup_after_no) == SslModeInterval{SslMode::allow, SslMode::prefer});
}

TEST_CASE("a close after N is not disable, and may be a client that comes again in clear") {
    CHECK(proves(Evidence::closed_after_no) == SslModeInterval{SslMode::require, SslMode::verify_full});
}

TEST_CASE("a clear StartupMessage after N to the same address proves at most prefer") {
    CHECK(proves(Evidence::clear_startup_after_declined) == SslModeInterval{SslMode::disable, SslMode::prefer});
}

TEST_CASE("a StartupMessage through TLS on an undistributed certificate proves at most require") {
    CHECK(proves(Evidence::tls_startup_undistributed).max == SslMode::require);
    CHECK(proves(Evidence::tls_startup_undistributed).verifies() == Verifies::no);
}

TEST_CASE("a StartupMessage through TLS on a distributed certificate proves only that TLS is used") {
    CHECK(proves(Evidence::tls_startup) == SslModeInterval{SslMode::allow, SslMode::verify_full});
    CHECK(proves(Evidence::tls_startup).verifies() == Verifies::unknown);
}

TEST_CASE("a refused certificate proves at least verify-ca") {
    CHECK(proves(Evidence::tls_refused) == SslModeInterval{SslMode::verify_ca, SslMode::verify_full});
    CHECK(proves(Evidence::tls_refused).verifies() == Verifies::yes);
}

TEST_CASE("TLS at once after the same user was refused in clear is allow") {
    CHECK(proves(Evidence::tls_after_clear_refused) == SslModeInterval{SslMode::allow, SslMode::allow});
}

TEST_CASE("a silent close, a missing ClientHello and a client certificate prove nothing") {
    CHECK(proves(Evidence::tls_refused_silently) == anything);
    CHECK(proves(Evidence::no_client_hello) == anything);
    CHECK(proves(Evidence::client_certificate) == anything);
}

TEST_CASE("the evidence of one connection narrows together") {
    CHECK(proves(std::vector<Evidence>{}) == anything);
    CHECK(proves({Evidence::tls_startup, Evidence::client_certificate}) == proves(Evidence::tls_startup));
    CHECK(proves({Evidence::tls_startup, Evidence::tls_after_clear_refused}) ==
          proves(Evidence::tls_after_clear_refused));
    CHECK(proves({Evidence::tls_startup_undistributed, Evidence::tls_startup}) ==
          proves(Evidence::tls_startup_undistributed));
}

TEST_CASE("evidence that contradicts what came before is not used") {
    CHECK(proves({Evidence::clear_startup, Evidence::tls_refused}) == proves(Evidence::clear_startup));
}

TEST_CASE("every piece of evidence has a label of its own and an interval that is one") {
    std::vector<std::string_view> labels;
    for (int i = 0; i <= static_cast<int>(Evidence::client_certificate); ++i) {
        const auto evidence = static_cast<Evidence>(i);
        CHECK_FALSE(label(evidence).empty());
        CHECK(std::find(labels.begin(), labels.end(), label(evidence)) == labels.end());
        labels.push_back(label(evidence));
        CHECK(proves(evidence).min <= proves(evidence).max);
    }
}
