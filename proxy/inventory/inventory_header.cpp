#include "proxy/inventory/inventory_header.hpp"

#include "proxy/inventory/inventory_schema.hpp"

namespace proxy {

std::string inventory_header_fault(protocol::Bytes beginning) {
    constexpr std::string_view magic("SQLite format 3\0", 16);
    constexpr std::size_t user_version_at = 60;
    if (beginning.empty()) return {};
    const std::string_view text = protocol::as_text(beginning);
    if (text.size() < inventory_header_size || !text.starts_with(magic)) return "it is no SQLite database";
    protocol::Reader reader(beginning.subspan(user_version_at));
    const std::uint32_t version = reader.u32();
    if (version <= static_cast<std::uint32_t>(inventory_version)) return {};
    return "made by a newer pgairlock (its version is " + std::to_string(version) + ", this one knows " +
           std::to_string(inventory_version) + ")";
}

}  // namespace proxy
