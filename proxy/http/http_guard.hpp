// Who may ask what over HTTP, before anything is answered. Pure.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "proxy/http/http_message.hpp"

namespace proxy {

struct HttpGuard {
    std::set<std::string> names;  ///< what we are called, in lower case, besides addresses and localhost
    std::string token;            ///< empty: none is set
    bool needs_token = false;     ///< what is no health check is for nobody without it, even if none is set
    std::string token_place = "the file that admin.http_token_file names";  ///< where whoever may ask finds it
};

/// Among `names` of a guard; what is no DNS name is none.
void add_host_name(std::set<std::string>& names, std::string_view name);

/// Health checks are for everybody who gets as far as our socket.
bool is_health_path(std::string_view path) noexcept;

/// A page of somebody else's that a browser was led to under a name that now leads to us (DNS
/// rebinding) has that name in Host. Addresses are nobody's name.
bool is_our_host(std::string_view host, const HttpGuard& guard);

/// It has the token, as Bearer or as the password of Basic, or none is needed.
bool is_authorized(const HttpRequest& request, const HttpGuard& guard);

/// 404, with what there is: `paths` are given with what each is for.
struct HttpPath {
    std::string_view path;
    std::string_view meaning;
};
HttpResponse http_not_found(std::string_view asked, std::span<const HttpPath> paths);

/// nullopt: it may ask; whoever has the token as Bearer, under whatever name. Else why not, and how
/// to ask instead.
std::optional<HttpResponse> refused_request(const HttpRequest& request, const HttpGuard& guard);

}  // namespace proxy
