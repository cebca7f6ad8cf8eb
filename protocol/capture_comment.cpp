#include "protocol/capture_comment.hpp"

#include <algorithm>

namespace protocol {
namespace {

constexpr std::size_t max_value = 512;

/// The value that `rest` begins with, which is taken off.
std::string take_value(std::string_view& rest) {
    if (!rest.starts_with('"')) {
        std::string value(rest.substr(0, rest.find(' ')));
        rest.remove_prefix(value.size());
        return value;
    }
    std::string value;
    std::size_t at = 1;
    for (; at < rest.size() && rest[at] != '"'; ++at) {
        if (rest[at] == '\\' && at + 1 < rest.size()) ++at;
        value += rest[at];
    }
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return value;
}

bool is_truth(std::string_view word) { return word == "true" || word == "on" || word == "yes" || word == "t"; }

}  // namespace

std::map<std::string, std::string> parse_comment(std::string_view comment) {
    std::map<std::string, std::string> values;
    while (true) {
        comment.remove_prefix(std::min(comment.find_first_not_of(' '), comment.size()));
        const std::size_t equals = comment.find_first_of("= ");
        if (equals == std::string_view::npos) return values;
        const std::string key(comment.substr(0, equals));
        const bool has_value = comment[equals] == '=';
        comment.remove_prefix(equals + 1);
        if (has_value) values.try_emplace(key, take_value(comment).substr(0, max_value));
    }
}

std::optional<ConversationComment> parse_conversation_comment(std::string_view comment) {
    if (!comment.starts_with("session=")) return std::nullopt;
    const auto values = parse_comment(comment);
    const auto value = [&](const char* key) {
        const auto found = values.find(key);
        return found == values.end() ? std::string() : found->second;
    };
    ConversationComment out{.session = value("session"),
                            .user = value("user"),
                            .database = value("database"),
                            .application_name = value("application_name"),
                            .client_addr = value("client_addr"),
                            .ssl = {},
                            .version = value("version"),
                            .sslmode_min = {},
                            .sslmode_max = {},
                            .verifies = value("verifies"),
                            .listener = value("listener"),
                            .upstream_addr = value("leg") == "server" ? value("to") : "",
                            .upstream_version = value("upstream_version"),
                            .records = value("content") == "tls-records",
                            .joined = is_truth(value("joined")),
                            .prewarmed = is_truth(value("prewarmed"))};
    if (values.contains("ssl")) out.ssl = is_truth(value("ssl"));
    const std::string mode = value("sslmode");
    const std::size_t dots = mode.find("..");
    out.sslmode_min = mode.substr(0, dots);
    out.sslmode_max = dots == std::string::npos ? mode : mode.substr(dots + 2);
    return out;
}

std::string payload_of(std::string_view comment) {
    const auto values = parse_comment(comment);
    const auto found = values.find("payload");
    return found == values.end() ? std::string() : found->second.substr(0, found->second.find(';'));
}

std::string filter_of(std::string_view comment) {
    constexpr std::string_view before = "; sessions of ";
    const std::size_t at = comment.find(before);
    return at == std::string_view::npos ? std::string() : std::string(comment.substr(at + before.size(), max_value));
}

}  // namespace protocol
