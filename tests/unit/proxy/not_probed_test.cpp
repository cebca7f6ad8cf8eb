// The reasons that people read are the code's (docs/verification.md).
#include "proxy/observation/not_probed.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "support/catch.hpp"

using proxy::NotProbed;

TEST_CASE("each reason not to probe has a label and a sentence of its own") {
    std::set<std::string_view> labels, sentences;
    for (std::size_t i = 0; i < proxy::not_probed_count; ++i) {
        labels.insert(label(static_cast<NotProbed>(i)));
        sentences.insert(sentence(static_cast<NotProbed>(i)));
    }
    CHECK(labels.size() == proxy::not_probed_count);
    CHECK(sentences.size() == proxy::not_probed_count);
    CHECK(label(static_cast<NotProbed>(proxy::not_probed_count)).empty());
}

TEST_CASE("docs/verification.md: the table of not_probed is the code's") {
    std::ostringstream page;
    page << std::ifstream(DOCS "/verification.md").rdbuf();
    std::string expected = "| `not_probed` | in words |\n|---|---|\n";
    for (std::size_t i = 0; i < proxy::not_probed_count; ++i) {
        const auto reason = static_cast<NotProbed>(i);
        expected += "| `" + std::string(label(reason)) + "` | " + std::string(sentence(reason)) + " |\n";
    }
    CHECK(page.str().find(expected + "\n") != std::string::npos);
}
