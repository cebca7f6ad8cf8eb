// Configurations made by hand, for tests of what is read of them and of what is said about them.
#pragma once

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "support/catch.hpp"

namespace config_fixture {

using namespace config;
using namespace std::chrono_literals;
using protocol::ScramMode;
using protocol::SslMode;

using Lines = std::vector<std::string>;

inline Lines texts(const std::vector<Diagnostic>& diagnostics) {
    Lines lines;
    for (const Diagnostic& diagnostic : diagnostics) lines.push_back(to_string(diagnostic));
    return lines;
}

/// A folder with a configuration file and what it names, removed afterwards.
class Folder {
   public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "config_test.XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text = "") const {
        std::ofstream{path(name)} << text;
        return path(name);
    }

   private:
    std::string path_;
};

/// The text, behind a valid upstream on one line, as file "t": what it says is on line 2 and later.
inline Loaded load_after_upstream(const std::string& text) {
    return load_text("upstream.a = {hosts = 'a:1'}\n" + text, "t");
}

inline Lines errors_after_upstream(const std::string& text) { return texts(load_after_upstream(text).errors); }

/// The lines, as those of [upstream.a] on line 2 and later.
inline Loaded load_upstream(const std::string& lines) { return load_text("[upstream.a]\n" + lines, "t"); }

inline Lines upstream_errors(const std::string& lines) { return texts(load_upstream(lines).errors); }

inline const Config& valid(const Loaded& loaded) {
    CHECK(texts(loaded.errors) == Lines{});
    REQUIRE(loaded.config);
    return *loaded.config;
}

inline std::array<std::uint8_t, 16> v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
}

/// The header, and each key at the value that the reference calls its default.
template <class S>
std::string defaults(const std::string& header) {
    std::string text = header + "\n";
    for (const Key<S>& key : section<S>().keys) {
        if (!key.default_value.empty()) text += std::string{key.name} + " = " + std::string{key.default_value} + "\n";
    }
    return text;
}

}  // namespace config_fixture
