#include "proxy/transcript/audit_extras.hpp"

#include <boost/json.hpp>

namespace proxy::transcript {
namespace {

constexpr std::size_t max_event = 64 * 1024;
constexpr std::size_t max_exe = 512;

bool has_text(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() && !value->get_string().empty();
}

}  // namespace

AuditExtras parse_extras(std::string_view line) {
    AuditExtras extras;
    if (line.size() > max_event) return extras;
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({line.data(), line.size()}, error);
    if (error || !value.is_object()) return extras;
    const boost::json::object& object = value.get_object();
    const auto is = [&](std::string_view key, std::string_view word) {
        const auto* found = object.if_contains(key);
        return found && found->is_string() && std::string_view(found->get_string()) == word;
    };
    // With any other reason the words are the proxy's.
    const bool is_servers = is("reason", "server_denied") || !has_text(object, "reason");
    extras.has_text = is("event", "auth_failed") && is_servers && has_text(object, "message");
    if (const auto* capture = object.if_contains("capture"); capture && capture->is_int64())
        extras.capture = static_cast<std::uint64_t>(capture->get_int64());
    const auto* process = object.if_contains("client_process");
    if (!process || !process->is_object()) return extras;
    if (const auto* exe = process->get_object().if_contains("exe"); exe && exe->is_string())
        extras.client_exe = std::string(exe->get_string()).substr(0, max_exe);
    if (const auto* uid = process->get_object().if_contains("uid"); uid && uid->is_int64()) {
        const std::int64_t number = uid->get_int64();
        if (number >= 0 && number <= 0xffff'ffff) extras.client_uid = number;
    }
    return extras;
}

void take_process(SessionFacts& facts, const AuditExtras& extras) {
    if (!extras.client_exe.empty()) facts.client_exe = extras.client_exe;
    if (extras.client_uid >= 0) facts.client_uid = extras.client_uid;
}

}  // namespace proxy::transcript
