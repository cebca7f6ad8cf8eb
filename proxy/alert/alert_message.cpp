#include "proxy/alert/alert_message.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <new>

#include "config/keys.hpp"
#include "protocol/utf8.hpp"

namespace proxy {
namespace {

namespace json = boost::json;

constexpr int format_version = 1;

json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

std::string events_of(const AlertMessage& message) {
    std::string all = "[";
    for (const AlertMessage::Shown& one : message.shown) {
        if (!one.event.empty()) all += (all.size() > 1 ? "," : "") + one.event;
    }
    return all + "]";
}

std::string since_of(const AlertMessage& message) {
    return message.since ? tls::to_rfc3339(*message.since) : std::string();
}

std::string whole_title(const AlertMessage& message) {
    std::string title = alert_title(message.kind, message.status, message.count);
    if (!message.upstream.empty()) title += " (upstream " + message.upstream + ")";
    return protocol::printable(title);
}

/// The same for what begins, goes on and ends, so that a pager closes what it opened; what never
/// ends is another one each time.
std::string key_of(const AlertMessage& message, const std::string& alert, const std::string& proxy) {
    const bool is_one_thing = can_end(message.kind) && message.status != AlertStatus::test;
    return proxy + "/" + alert + "/" + std::string(kind_word(message)) + "/" +
           (is_one_thing ? message.upstream : message.id);
}

std::string own_body(const AlertMessage& message, const std::string& alert, const std::string& proxy) {
    const json::object head{{"version", format_version},
                            {"id", message.id},
                            {"key", key_of(message, alert, proxy)},
                            {"alert", alert},
                            {"kind", kind_word(message)},
                            {"status", to_string(message.status)},
                            {"proxy", or_null(proxy)},
                            {"title", whole_title(message)},
                            {"text", alert_text(message)},
                            {"upstream", or_null(message.upstream)},
                            {"count", message.count},
                            {"since", or_null(since_of(message))},
                            {"first_at", tls::to_rfc3339(message.first_at)},
                            {"last_at", tls::to_rfc3339(message.last_at)}};
    std::string body = json::serialize(head);
    body.pop_back();
    return body + ",\"events\":" + events_of(message) + "}";
}

/// Slack's own three characters: nobody's name calls a whole channel (<!channel>) or is a link. A
/// backtick would end the block in which nothing is made bold, or a link, either.
std::string slack_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '`': out += '\''; break;
            default: out += c;
        }
    }
    return out;
}

/// "2026-11-30T02:00:00Z to 2026-11-30T02:00:04Z", or one of them.
std::string span_of(const AlertMessage& message) {
    const std::string first = tls::to_rfc3339(message.first_at), last = tls::to_rfc3339(message.last_at);
    return first == last ? first : first + " to " + last;
}

std::string slack_body(const AlertMessage& message, const std::string& proxy) {
    std::string status(to_string(message.status));
    for (char& c : status) c = static_cast<char>(c - 'a' + 'A');
    const std::string who = proxy.empty() ? "" : proxy + ": ";
    std::string text = "*[" + status + "] " + slack_escaped(who + whole_title(message)) + "*";
    if (const std::string lines = alert_text(message); !lines.empty()) text += "\n```" + slack_escaped(lines) + "```";
    return json::serialize(json::object{{"text", text + "\n" + span_of(message)}});
}

AlertTemplate::Value value_of(std::string_view word, const AlertMessage& message, const std::string& alert,
                              const std::string& proxy) {
    if (word == "id") return {.text = message.id};
    if (word == "key") return {.text = key_of(message, alert, proxy)};
    if (word == "action") return {.text = message.status == AlertStatus::resolved ? "resolve" : "trigger"};
    if (word == "alert") return {.text = alert};
    if (word == "kind") return {.text = std::string(kind_word(message))};
    if (word == "status") return {.text = std::string(to_string(message.status))};
    if (word == "proxy") return {.text = proxy};
    if (word == "title") return {.text = whole_title(message)};
    if (word == "text") return {.text = alert_text(message)};
    if (word == "upstream") return {.text = message.upstream};
    if (word == "count") return {.text = std::to_string(message.count), .is_json = true};
    if (word == "since") return {.text = since_of(message)};
    if (word == "first_at") return {.text = tls::to_rfc3339(message.first_at)};
    if (word == "last_at") return {.text = tls::to_rfc3339(message.last_at)};
    return {.text = events_of(message), .is_json = true};
}

std::int64_t microseconds(AlertMessage::Time time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

AlertMessage::Time time_of(const json::value& value) {
    return AlertMessage::Time(std::chrono::microseconds(value.as_int64()));
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

/// Throws when something is missing or of another type.
AlertMessage message_of(const json::object& kept) {
    const auto kinds = config::names<config::AlertKind>();
    const auto kind = std::find(kinds.begin(), kinds.end(), text_of(kept.at("kind")));
    if (kind == kinds.end()) throw std::out_of_range("kind");
    AlertMessage message{.id = text_of(kept.at("id")), .kind = static_cast<config::AlertKind>(kind - kinds.begin())};
    message.status =
        text_of(kept.at("status")) == to_string(AlertStatus::resolved) ? AlertStatus::resolved : AlertStatus::firing;
    message.upstream = text_of(kept.at("upstream"));
    message.count = kept.at("count").to_number<std::uint64_t>();
    message.first_at = time_of(kept.at("first_at"));
    message.last_at = time_of(kept.at("last_at"));
    // Not in what an older version has left.
    if (const json::value* const since = kept.if_contains("since")) message.since = time_of(*since);
    for (const json::value& one : kept.at("shown").as_array()) {
        const json::object& shown = one.as_object();
        const json::value* const event = shown.if_contains("event");
        message.shown.push_back({.line = text_of(shown.at("line")),
                                 .event = event ? json::serialize(*event) : std::string(),
                                 .count = shown.at("count").to_number<std::uint64_t>()});
    }
    return message;
}

}  // namespace

AlertMessage test_message(std::string id, const std::vector<config::AlertKind>& on, AlertMessage::Time now) {
    AlertMessage message{.id = std::move(id), .status = AlertStatus::test, .first_at = now, .last_at = now};
    std::string words;
    for (const config::AlertKind kind : on) words += (words.empty() ? "" : ", ") + std::string(to_string(kind));
    message.shown = {{.line = "sent by pgairlock alert test; this alert tells of: " + words}};
    return message;
}

std::string_view kind_word(const AlertMessage& message) noexcept {
    return message.status == AlertStatus::test ? to_string(message.status) : to_string(message.kind);
}

std::string alert_text(const AlertMessage& message) {
    std::string text;
    std::uint64_t told = 0;
    for (const AlertMessage::Shown& one : message.shown) {
        text += (text.empty() ? "" : "\n") + one.line;
        if (one.count > 1) text += " (" + std::to_string(one.count) + " times)";
        told += one.count;
    }
    if (message.status == AlertStatus::firing && !message.shown.empty() && message.count > told)
        text += "\n... and " + std::to_string(message.count - told) + " more";
    return text;
}

std::string alert_body(const AlertMessage& message, const AlertRoute& route, const std::string& proxy) {
    const std::string& alert = route.settings.name;
    std::string body;
    if (route.own_form) {
        body = route.own_form.expand([&](std::string_view word) { return value_of(word, message, alert, proxy); });
    } else if (route.settings.form == config::AlertTemplate::slack) {
        body = slack_body(message, proxy);
    } else {
        body = own_body(message, alert, proxy);
    }
    return body;
}

std::string to_spool(const AlertMessage& message) {
    json::object head{{"id", message.id},
                      {"kind", to_string(message.kind)},
                      {"status", to_string(message.status)},
                      {"upstream", message.upstream},
                      {"count", message.count},
                      {"first_at", microseconds(message.first_at)},
                      {"last_at", microseconds(message.last_at)}};
    if (message.since) head["since"] = microseconds(*message.since);
    std::string text = json::serialize(head);
    text.pop_back();
    text += ",\"shown\":[";
    for (std::size_t i = 0; i < message.shown.size(); ++i) {
        const AlertMessage::Shown& one = message.shown[i];
        text += (i > 0 ? "," : "") + std::string("{\"line\":") + json::serialize(json::string(one.line)) +
                ",\"count\":" + std::to_string(one.count) + (one.event.empty() ? "" : ",\"event\":" + one.event) + "}";
    }
    return text + "]}\n";
}

std::optional<AlertMessage> from_spool(std::string_view text) {
    if (!text.ends_with('\n')) return std::nullopt;
    text.remove_suffix(1);
    try {
        return message_of(json::parse(text).as_object());
    } catch (const std::bad_alloc&) {
        throw;  // which says nothing about the text
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

}  // namespace proxy
