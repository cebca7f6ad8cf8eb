#include "proxy/command/check/outcome.hpp"

#include <algorithm>

namespace proxy::command {

bool is_ok(const Outcome& outcome) {
    const bool serves = std::none_of(outcome.preflight.begin(), outcome.preflight.end(), [](const Finding& finding) {
        return finding.state == Finding::State::useless || finding.state == Finding::State::stops ||
               finding.state == Finding::State::error;
    });
    if (!outcome.connected) return serves;
    const auto& addresses = outcome.addresses;
    return serves && !addresses.empty() &&
           std::all_of(addresses.begin(), addresses.end(), [](const AddressResult& result) { return result.holds; });
}

std::optional<bool> candidates_hold(const Outcome& outcome) {
    std::optional<bool> ok;
    for (const AddressResult& result : outcome.addresses) {
        if (result.candidate) ok = ok.value_or(true) && result.candidate->ok;
    }
    return ok;
}

std::vector<std::string> unmet(const Outcome& outcome, const Demands& demands) {
    std::vector<std::string> names;
    const bool alone = std::all_of(outcome.addresses.begin(), outcome.addresses.end(), [](const AddressResult& result) {
        return std::all_of(result.verdicts.begin(), result.verdicts.end(), [](const Verdict& v) { return v.holds; });
    });
    if (demands.alone && !alone) names.emplace_back("alone");
    if (demands.candidate && !candidates_hold(outcome).value_or(false)) names.emplace_back("candidate");
    if (demands.expiry && !outcome.ends_soon.empty()) names.emplace_back("expiry");
    return names;
}

}  // namespace proxy::command
