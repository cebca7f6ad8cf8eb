#include "proxy/inventory/key_exchange_groups.hpp"

#include <algorithm>

namespace proxy {

void note_group(KeyExchangeGroups& groups, const std::string& group, bool is_latest) {
    if (group.empty()) return;
    const auto there = std::find(groups.begin(), groups.end(), group);
    if (there != groups.end() && !is_latest) return;
    if (there != groups.end()) groups.erase(there);
    groups.insert(is_latest ? groups.begin() : groups.end(), group);
    if (groups.size() > max_groups) groups.resize(max_groups);
}

KeyExchangeGroups merged_groups(const KeyExchangeGroups& newer, const KeyExchangeGroups& older) {
    KeyExchangeGroups merged = newer;
    for (const std::string& group : older) note_group(merged, group, false);
    return merged;
}

std::string groups_text(const KeyExchangeGroups& groups) {
    std::string text;
    for (const std::string& group : groups) text += (text.empty() ? "" : ",") + group;
    return text;
}

KeyExchangeGroups groups_of_text(std::string_view text) {
    KeyExchangeGroups groups;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        note_group(groups, std::string(text.substr(0, comma)), false);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return groups;
}

}  // namespace proxy
