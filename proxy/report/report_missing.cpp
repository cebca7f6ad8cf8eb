// What a report does not know, and must say first.
#include <algorithm>
#include <boost/algorithm/string/join.hpp>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

/// Times that are still to come make everything that rests on "how long ago" doubtful.
std::string from_the_future(const std::vector<ReportClient>& clients, Timestamp now) {
    if (now == 0) return "";
    const auto count = std::count_if(clients.begin(), clients.end(), [&](const ReportClient& client) {
        return client.row.last_seen > now + clocks_may_differ;
    });
    return count == 0 ? ""
                      : plural(static_cast<std::uint64_t>(count), "client") +
                            " seen at a time that is still to come: a clock is or was wrong";
}

/// What one proxy could not tell.
void add_untold(std::vector<std::string>& out, const ReportProxy& proxy, const ReportFilter& filter) {
    const ProxyRow& row = proxy.row;
    const auto say = [&](bool applies, const std::string& sentence) {
        if (applies) out.push_back(proxy.name + ": " + sentence);
    };
    const Timestamp since = filter.since.value_or(0);
    const bool lost_within = row.last_loss >= since;
    say(lost_within && row.events_dropped > 0,
        plural(row.events_dropped, "event") + " dropped, because more happened than could be written down");
    say(lost_within && row.rows_left_out > 0,
        "its inventory was full, and " + plural(row.rows_left_out, "row") + " forgotten to make room");
    say(lost_within && row.unclean_ends > 0,
        plural(row.unclean_ends, "time") +
            " it was gone without having written down all that it knew, the last time before " +
            time_text(row.last_loss) + "; a report --since then does not need it");
    say(row.pruned_before > 0 && since < row.pruned_before,
        "what was not seen since " + time_text(row.pruned_before) + " is forgotten ([audit] inventory_retention)");
    say(filter.now > 0 && row.last_seen > filter.now + clocks_may_differ,
        "it was last heard of at " + time_text(row.last_seen) + ", which is still to come: a clock is or was wrong");
    say(filter.since && row.first_seen > since, "there is nothing from before " + time_text(row.first_seen));
}

}  // namespace

std::vector<std::string> missing(const Report& report, const std::set<std::string>& apart) {
    std::vector<std::string> out;
    for (const ReportProxy& proxy : report.proxies) {
        if (proxy.asked_for) add_untold(out, proxy, report.filter);
    }
    if (const std::string future = from_the_future(report.clients, report.filter.now); !future.empty())
        out.push_back(future);
    if (!apart.empty()) {
        out.push_back(
            boost::algorithm::join(apart, " ") +
            ": copies of one inventory went on apart, so what they have in common is counted twice, and other "
            "copies may know more; begin one of them anew (move its inventory.db away)");
    }
    return out;
}

}  // namespace proxy::report
