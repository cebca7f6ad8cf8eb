#include "proxy/capture/capture_filter.hpp"

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

void add_to_filter_text(std::string& text, std::string_view key, const std::string& value) {
    text += (text.empty() ? "" : " ") + std::string(key) + "=" + protocol::printable(value);
}

}  // namespace

std::string filter_text(const CaptureFilter& filter) {
    std::string text;
    for (const std::string& name : filter.listeners) add_to_filter_text(text, "listener", name);
    for (const std::string& name : filter.users) add_to_filter_text(text, "user", name);
    for (const std::string& name : filter.databases) add_to_filter_text(text, "database", name);
    for (const std::string& name : filter.application_names) add_to_filter_text(text, "application_name", name);
    for (const config::Cidr& range : filter.client_addrs)
        add_to_filter_text(text, "client_addr", config::to_string(range));
    return text;
}

}  // namespace proxy
