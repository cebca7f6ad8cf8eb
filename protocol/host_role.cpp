#include "protocol/host_role.hpp"

namespace protocol {
namespace {

/// nullopt: neither "on" nor "off", or of another setting.
std::optional<bool> told(Bytes parameter_status, std::string_view setting) noexcept {
    Reader reader(parameter_status);
    const std::string_view name = reader.cstring();
    const std::string_view value = reader.cstring();
    if (!reader.ok() || name != setting || (value != "on" && value != "off")) return std::nullopt;
    return value == "on";
}

}  // namespace

std::string_view to_string(HostRole role) noexcept {
    switch (role) {
        case HostRole::unknown: return "unknown";
        case HostRole::primary: return "primary";
        case HostRole::standby: return "standby";
    }
    return "";
}

HostRole told_role(Bytes parameter_status) noexcept {
    const auto in_hot_standby = told(parameter_status, "in_hot_standby");
    if (!in_hot_standby) return HostRole::unknown;
    return *in_hot_standby ? HostRole::standby : HostRole::primary;
}

std::optional<bool> told_read_only(Bytes parameter_status) noexcept {
    return told(parameter_status, "default_transaction_read_only");
}

Buffer query(RoleQuestion question) {
    Buffer message;
    if (question == RoleQuestion::none) return message;
    Writer out(message);
    out.u8('Q');
    const std::size_t length = out.begin_length();
    // A session's search_path leads to nothing of these.
    out.cstring(question == RoleQuestion::read_only ? "SHOW transaction_read_only"
                                                    : "SELECT pg_catalog.pg_is_in_recovery()");
    out.end_length(length);
    return message;
}

std::optional<bool> answer(Bytes data_row) noexcept {
    Reader reader(data_row);
    const std::uint16_t columns = reader.u16();
    const std::uint32_t size = reader.u32();
    if (!reader.ok() || columns != 1 || size != reader.rest().size()) return std::nullopt;
    const std::string_view value = as_text(reader.rest());
    if (value == "on" || value == "t") return true;
    if (value == "off" || value == "f") return false;
    return std::nullopt;
}

}  // namespace protocol
