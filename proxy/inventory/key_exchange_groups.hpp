// Pure: the groups of key exchange that somebody was seen with, as a column and a report have them.
// Few: those that a configuration and OpenSSL know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace proxy {

/// Each once, the last one first.
using KeyExchangeGroups = std::vector<std::string>;

inline constexpr std::size_t max_groups = 8;

/// `group`: empty: there was none. `is_latest`: nothing that is there was seen later.
void note_group(KeyExchangeGroups& groups, const std::string& group, bool is_latest);

/// Of the older ones, those that are not among the newer.
KeyExchangeGroups merged_groups(const KeyExchangeGroups& newer, const KeyExchangeGroups& older);

/// "X25519MLKEM768,P-256"
std::string groups_text(const KeyExchangeGroups& groups);
KeyExchangeGroups groups_of_text(std::string_view text);

}  // namespace proxy
