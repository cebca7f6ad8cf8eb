#include "proxy/report/report_silent.hpp"

#include <algorithm>

namespace proxy::report {

SilentProxies silent_proxies(const Report& report) {
    SilentProxies silent;
    for (const ReportProxy& proxy : report.proxies) {
        if (proxy.silent > 0 && proxy.asked_for) silent.named.push_back(&proxy);
    }
    if (silent.named.size() <= most_silent_named) return silent;
    silent.others = silent.named.size() - most_silent_named;
    const auto is_later = [](const ReportProxy* a, const ReportProxy* b) { return a->silent < b->silent; };
    std::stable_sort(silent.named.begin(), silent.named.end(), is_later);
    silent.named.resize(most_silent_named);
    // They are elements of one vector.
    std::sort(silent.named.begin(), silent.named.end());
    return silent;
}

}  // namespace proxy::report
