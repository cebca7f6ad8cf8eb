#include "proxy/dashboard/answers.hpp"

namespace proxy::dashboard {
namespace {

constexpr std::string_view content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

void add_policy(HttpResponse& response) {
    response.headers.emplace_back("Content-Security-Policy", content_policy);
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
}

HttpResponse json_answer(Shared text) {
    HttpResponse response{.status = 200, .content_type = "application/json; charset=utf-8", .body = {}};
    response.shared_body = std::move(text);
    return response;
}

HttpResponse json_refusal(unsigned status, const std::string& why) {
    HttpResponse response{.status = status,
                          .content_type = "application/json; charset=utf-8",
                          .body = serialized(boost::json::object{{"error", name(why)}})};
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
}

}  // namespace proxy::dashboard
