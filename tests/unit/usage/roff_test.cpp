// Text for manual pages.
#include "config/usage/roff.hpp"

#include "support/catch.hpp"

TEST_CASE("usage: nothing in a text is an order to groff") {
    CHECK(usage::roff(".SH \\fB") == "\\&.SH \\efB");
    CHECK(usage::roff("'tis --it") == "\\(aqtis \\-\\-it");
    CHECK(usage::roff("a.b ~ ^ `") == "a.b \\(ti \\(ha \\(ga");
}

TEST_CASE("usage: Markdown becomes a page") {
    using usage::roff_of_markdown;
    CHECK(roff_of_markdown("Use `a-b`, **at once**.") == "Use \\fBa\\-b\\fR, \\fBat once\\fR.\n");
    CHECK(roff_of_markdown("`.pgpass` is read") == "\\&\\fB.pgpass\\fR is read\n");
    CHECK(roff_of_markdown("see [the docs](docs/x.md#y)") == "see the docs\n");
    CHECK(roff_of_markdown("see [TOML](https://toml.io)") == "see TOML (https://toml.io)\n");
    CHECK(roff_of_markdown("a `[[listener]]` of [x] and 2 * 3") == "a \\fB[[listener]]\\fR of [x] and 2 * 3\n");
    CHECK(roff_of_markdown("# Title\n<!-- no -->\nOne\n\n- two\n  goes on\n\n```toml\n.a = 1\n```\n") ==
          "One\n.PP\n.IP \\(bu 2\ntwo\ngoes on\n.PP\n.PP\n.EX\n\\&.a = 1\n.EE\n");
}

TEST_CASE("usage: indented lines of plain text stay as they are") {
    CHECK(usage::roff_text("One\ntwo\n\n  .x --y\n\nthree") ==
          ".PP\nOne\ntwo\n.PP\n.EX\n  .x \\-\\-y\n.EE\n.PP\nthree\n");
}
