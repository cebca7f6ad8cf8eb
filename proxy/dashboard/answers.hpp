// The dashboard's answers over HTTP: JSON, refusals, and what a browser may do with them.
#pragma once

#include <string>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/http/http_message.hpp"

namespace proxy::dashboard {

/// Nothing of elsewhere is loaded, and nobody else may embed it.
void add_policy(HttpResponse& response);

HttpResponse json_answer(Shared text);

/// {"error": why}; of 503 also when to ask again.
HttpResponse json_refusal(unsigned status, const std::string& why);

}  // namespace proxy::dashboard
