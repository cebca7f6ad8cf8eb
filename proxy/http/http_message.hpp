// A request and its answer as values; what they look like on the wire is http_server's.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace proxy {

struct HttpRequest {
    std::string method;
    std::string path;  ///< without what stands behind '?'
    unsigned version = 11;
    std::vector<std::string> hosts{};  ///< every Host header
    std::string authorization;
    std::string accept;
    bool has_body = false;
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};  ///< further ones
    bool close = false;                                          ///< nothing more is read from whoever asked
};

/// A line of text.
HttpResponse http_text(unsigned status, std::string line);

}  // namespace proxy
