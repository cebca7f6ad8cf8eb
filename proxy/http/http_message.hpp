// A request and its answer as values; what they look like on the wire is http_server's.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/http_stream.hpp"

namespace proxy {

struct HttpRequest {
    std::string method;
    std::string path;  ///< without what stands behind '?'
    unsigned version = 11;
    std::vector<std::string> hosts{};  ///< every Host header
    std::string authorization;
    std::string accept;
    bool has_body = false;
    std::string query{};          ///< what stands behind '?', as it came
    std::string last_event_id{};  ///< of somebody who has read a stream before
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};  ///< further ones
    bool close = false;                                          ///< nothing more is read from whoever asked
    /// Instead of `body`: one text for all who ask, which nobody copies.
    std::shared_ptr<const std::string> shared_body{};
    /// Instead of a body: what is said from now on, until somebody ends it.
    std::shared_ptr<HttpStream> stream{};

    const std::string& content() const noexcept { return shared_body ? *shared_body : body; }
};

/// A line of text.
HttpResponse http_text(unsigned status, std::string line);

}  // namespace proxy
