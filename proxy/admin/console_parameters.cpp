#include "proxy/admin/console_parameters.hpp"

#include "proxy/admin/console_settings.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

/// Below that of every psql that is still in use, which warns of newer servers.
constexpr const char* server_version = "14.0";

}  // namespace

std::vector<std::pair<std::string, std::string>> console_parameters(const protocol::StartupMessage& startup,
                                                                    const ConsoleAsker& asker) {
    const bool commands = asker.right == ConsoleRight::command;
    return {
        {"server_version", std::string(server_version) + " (pgairlock " + version() + ")"},
        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},
        {"application_name", std::string(startup.find("application_name"))},
        {"is_superuser", commands ? "on" : "off"},
        {"session_authorization", std::string(startup.find("user"))},
        {"DateStyle", "ISO, MDY"},
        {"IntervalStyle", "postgres"},
        {"TimeZone", "UTC"},
        {"integer_datetimes", "on"},
        {"standard_conforming_strings", "on"},
        {"default_transaction_read_only", "off"},
        {"in_hot_standby", "off"},
    };
}

std::vector<std::pair<std::string, std::string>> shown_settings(const ConsoleAsker& asker) {
    auto settings = console_parameters({}, asker);
    settings.emplace_back("search_path", "public");
    settings.emplace_back("server_version_num", "140000");
    settings.emplace_back("statement_timeout", timeout_text(asker.statement_timeout));
    settings.emplace_back("transaction_isolation", "read committed");
    return settings;
}

}  // namespace proxy
