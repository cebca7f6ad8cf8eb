// Any text as a configuration file. toml++ is Debian's shared library: other builds of it abort on
// some inputs.
#include <cstdlib>

#include "config/load.hpp"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const config::Loaded loaded = config::load_text(text, "/nonexistent/pgairlock.toml");
    check(loaded.config.has_value() == loaded.errors.empty());
    for (const auto* list : {&loaded.errors, &loaded.warnings}) {
        for (const config::Diagnostic& diagnostic : *list)
            check(!config::to_string(diagnostic).empty() && !diagnostic.message.empty());
    }
    if (loaded.config) {
        for (const config::Listener& listener : loaded.config->listeners)
            check(loaded.config->find_upstream(listener.upstream) != nullptr);
    }
    (void)config::parse_duration(text);
    (void)config::parse_size(text);
    (void)config::parse_address(text);
    (void)config::parse_cidr(text);
    return 0;
}
