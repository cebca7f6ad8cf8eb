#include "proxy/command/check/watch.hpp"

#include <boost/json.hpp>

#include "protocol/utf8.hpp"

namespace proxy::command {
namespace {

namespace json = boost::json;

/// Of "2026-03-01T02:14:07Z".
std::string time_of_day(std::chrono::system_clock::time_point now) {
    constexpr std::size_t begin = 11, size = 8;
    return tls::to_rfc3339(now).substr(begin, size);
}

}  // namespace

std::string change_line(const Change& change, std::chrono::system_clock::time_point now, bool as_json) {
    if (!as_json) return time_of_day(now) + " " + protocol::printable(place_of(change) + ": " + change.text);
    json::object out{{"ts", tls::to_rfc3339(now)}, {"change", label(change.kind)}, {"upstream", change.upstream},
                     {"host", change.host},        {"address", change.address},    {"ok", change.ok},
                     {"message", change.text}};
    if (!change.from.empty()) out["from"] = change.from;
    if (!change.to.empty()) out["to"] = change.to;
    if (!change.from_key.empty()) out["from_anchor_key_sha256"] = change.from_key;
    if (!change.to_key.empty()) out["to_anchor_key_sha256"] = change.to_key;
    return json::serialize(out);
}

std::string notice_line(const std::string& text, std::chrono::system_clock::time_point now, bool as_json) {
    if (!as_json) return time_of_day(now) + " " + protocol::printable(text);
    return json::serialize(json::object{{"ts", tls::to_rfc3339(now)}, {"change", "configuration"}, {"message", text}});
}

}  // namespace proxy::command
