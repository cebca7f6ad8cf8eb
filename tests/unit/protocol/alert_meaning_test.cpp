#include "protocol/alert_meaning.hpp"

#include "support/catch.hpp"

using protocol::alert_meaning;

TEST_CASE("alerts of clients are said in words, and what is none is not") {
    CHECK(alert_meaning(48) == "the client does not trust the CA of the certificate that it was shown");
    CHECK(alert_meaning(110) == "the client was told of an extension that it does not support");
    for (const int none : {-1, 0, 255, 256}) CHECK(alert_meaning(none).empty());
    for (int alert = 0; alert < 256; ++alert) CHECK_FALSE(alert_meaning(alert).ends_with('.'));
}
