// A URL that messages are sent to. Its path is often all that keeps strangers out, as Slack's, so
// neither an error nor anything that is shown holds more than scheme and host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace config {

struct WebUrl {
    bool tls = true;
    std::string host;  ///< a name, IPv4, or IPv6 without brackets
    std::uint16_t port = 443;
    std::string target;  ///< path and query: secret
};

struct ParsedWebUrl {
    std::optional<WebUrl> url;
    std::string error;  ///< why there is none
};

/// https://, or http:// to an address of this host, 127.0.0.0/8, [::1] or localhost.
ParsedWebUrl parse_web_url(std::string_view text);

/// "https://hooks.example.com/..."
std::string shown_web_url(std::string_view text);
std::string shown(const WebUrl& url);

}  // namespace config
