// What CLI11 says of a wrong command line, as it is told.
#include "config/usage/usage_words.hpp"

#include "support/catch.hpp"

TEST_CASE("usage: what the parser says is told in words of ours") {
    using usage::in_our_words;
    const struct {
        const char* said;
        const char* told;
    } rows[] = {
        {"--config excludes --listen", "--config and --listen cannot be given together"},
        {"--token-file requires --url", "--token-file needs --url as well"},
        {"--format: tble not in {table,json,csv,html}",
         "--format: \"tble\" is not one of table, json, csv, html; did you mean \"table\"?"},
        {"--fail-on: all not in {candidate}", "--fail-on: expected \"candidate\", got \"all\""},
        {"Exactly 1 option from [-c,--config,--url] is required and 2 were given",
         "only one of --config, --url can be given"},
        {"Exactly 1 option from [-c,--config,--url] is required", "one of --config, --url is needed"},
        {"--url: 1 required TEXT missing", "--url needs a value"},
        {"Could not convert: --width = x", "--width: \"x\" is not a whole number"},
        {"--host is required", "--host is required"},
        {"--warn-days: Value thirty not in range 0 to 36500",
         "--warn-days: \"thirty\" is not a number from 0 to 36500"},
        {"--warn-days: Value -1 not in range [0 - 36500]", "--warn-days: \"-1\" is not a number from 0 to 36500"},
    };
    for (const auto& row : rows) CHECK(in_our_words(row.said) == row.told);
}

TEST_CASE("usage: a command's first sentence stands for it in the list") {
    using usage::first_sentence;
    CHECK(first_sentence("Show it. And more.") == "Show it");
    CHECK(first_sentence("Show it.\nAnd more.") == "Show it");
    CHECK(first_sentence("Show it\nand more") == "Show it");
    CHECK(first_sentence("").empty());
}
