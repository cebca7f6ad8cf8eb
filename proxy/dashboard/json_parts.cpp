#include "proxy/dashboard/json_parts.hpp"

#include "protocol/utf8.hpp"
#include "tls/certificates.hpp"

namespace proxy::dashboard {

namespace json = boost::json;

json::value text(std::string_view value) { return value.empty() ? json::value(nullptr) : name(value); }

json::value name(std::string_view value) { return json::value(protocol::as_utf8(value)); }

json::value time(SystemTime value) {
    return value == SystemTime{} ? json::value(nullptr) : json::value(tls::to_rfc3339(value));
}

json::value time(std::optional<SystemTime> value) { return time(value.value_or(SystemTime{})); }

json::value time(Timestamp value) { return time(to_time(value)); }

json::value days_left(SystemTime end, SystemTime now) {
    if (end == SystemTime{}) return nullptr;
    return days_until(to_timestamp(end), to_timestamp(now));
}

SystemTime to_time(Timestamp value) {
    return SystemTime(std::chrono::duration_cast<SystemTime::duration>(std::chrono::microseconds(value)));
}

std::string serialized(const json::value& value) { return protocol::printable_json(json::serialize(value)); }

Shared generated(SystemTime when, std::string_view object) {
    std::string whole = "{\"generated\":" + json::serialize(time(when));
    object.remove_prefix(1);
    if (!object.starts_with('}')) whole += ',';
    return std::make_shared<const std::string>(whole.append(object));
}

}  // namespace proxy::dashboard
