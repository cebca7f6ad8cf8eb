#include "proxy/inventory/json_without_nul.hpp"

#include <string_view>

namespace proxy {

std::string json_without_nul(std::string json) {
    constexpr std::string_view nul = "\\u0000";
    if (json.find(nul) == std::string::npos) return json;
    std::string out;
    out.reserve(json.size());
    for (std::string_view rest = json; !rest.empty();) {
        const bool is_nul = rest.starts_with(nul);
        // An escaped backslash is no beginning of another escape.
        const std::size_t length = is_nul ? nul.size() : rest.front() == '\\' && rest.size() > 1 ? 2 : 1;
        out += is_nul ? "\\\\x00" : rest.substr(0, length);
        rest.remove_prefix(length);
    }
    return out;
}

}  // namespace proxy
