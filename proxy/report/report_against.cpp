#include "proxy/report/report_against.hpp"

#include <algorithm>
#include <tuple>

#include "proxy/inventory/name_pattern.hpp"

namespace proxy::report {
namespace {

using protocol::Readiness;

/// 0 is the worst.
int rank(Readiness breaks) {
    switch (breaks) {
        case Readiness::yes: return 0;
        case Readiness::unknown: return 1;
        case Readiness::no: return 2;
    }
    return 0;
}

int rank(State state) { return static_cast<int>(state); }

/// What it amounts to that something is as it is now: below 0 it became worse.
int balance(int then, int now) { return now == then ? 0 : now < then ? -1 : 1; }

/// Of several, one that became worse is enough.
int together(std::initializer_list<int> balances) {
    const auto [worst, best] = std::minmax_element(balances.begin(), balances.end());
    return *worst < 0 ? -1 : *best;
}

int balance(const ComparedClient& then, const ComparedClient& now) {
    const int connects = together({balance(rank(then.state), rank(now.state)), balance(!then.failing, !now.failing)});
    if (connects != 0) return connects;
    return together({balance(rank(then.breaks_on_force_ssl), rank(now.breaks_on_force_ssl)),
                     balance(rank(then.breaks_on_ca_rotation), rank(now.breaks_on_ca_rotation)),
                     balance(!then.weak, !now.weak)});
}

/// As bad as the worst of the two in everything.
void add_worst(ComparedClient& into, const ComparedClient& from) {
    into.state = std::min(into.state, from.state);
    into.failing = into.failing || from.failing;
    into.weak = into.weak || from.weak;
    const auto worse = [](Readiness a, Readiness b) { return rank(a) < rank(b) ? a : b; };
    into.breaks_on_force_ssl = worse(into.breaks_on_force_ssl, from.breaks_on_force_ssl);
    into.breaks_on_ca_rotation = worse(into.breaks_on_ca_rotation, from.breaks_on_ca_rotation);
    into.folded = into.folded || from.folded;
}

using Key = std::tuple<bool, Source, ClientIdentity>;
using Clients = std::map<Key, ComparedClient>;

/// By what both reports know of them.
Clients by_identity(const std::vector<ComparedClient>& clients, bool knows_proxies) {
    Clients out;
    for (const ComparedClient& client : clients) {
        ClientIdentity who = client.who;
        if (!knows_proxies) {
            who.seen_by.clear();
            who.client_uid = -1;
        }
        const auto [at, is_new] = out.try_emplace({client.known, client.source, std::move(who)}, client);
        if (!is_new) add_worst(at->second, client);
    }
    return out;
}

Key folded(Key key) {
    std::string& name = std::get<ClientIdentity>(key).application_name;
    name = name_pattern(name);
    return key;
}

/// Names that one of the reports has as one pattern, because there were many of them, are one in
/// the other as well.
void fold_as(Clients& clients, const Clients& other) {
    std::map<Key, bool> patterns;
    for (const auto& [key, client] : other) {
        if (client.folded) patterns[folded(key)] = true;
    }
    if (patterns.empty()) return;
    Clients out;
    for (auto& [key, client] : clients) {
        auto pattern = folded(key);
        const bool folds = patterns.contains(pattern);
        if (folds) client.who.application_name = std::get<ClientIdentity>(pattern).application_name;
        const auto [at, is_new] = out.try_emplace(folds ? std::move(pattern) : key, client);
        if (!is_new) add_worst(at->second, client);
    }
    clients = std::move(out);
}

std::vector<Change> changes(const ComparedClient& then, const ComparedClient& now) {
    std::vector<Change> out;
    const auto add = [&](const char* what, std::string_view from, std::string_view to) {
        if (from != to) out.push_back({what, std::string(from), std::string(to)});
    };
    const auto truth = [](bool value) { return value ? "true" : "false"; };
    add("state", to_string(then.state), to_string(now.state));
    add("failing", truth(then.failing), truth(now.failing));
    add("breaks_on_force_ssl", protocol::to_string(then.breaks_on_force_ssl),
        protocol::to_string(now.breaks_on_force_ssl));
    add("breaks_on_ca_rotation", protocol::to_string(then.breaks_on_ca_rotation),
        protocol::to_string(now.breaks_on_ca_rotation));
    add("weak", truth(then.weak), truth(now.weak));
    return out;
}

std::string as_options(const std::vector<std::pair<std::string, std::string>>& restrictions) {
    std::string out;
    for (const auto& [option, value] : restrictions) out += " --" + option + " " + printable(value);
    return out.empty() ? " everything" : out;
}

/// The names in `some` of those that are not in `others`.
std::vector<std::string> only_in(const std::map<std::string, std::string>& some,
                                 const std::map<std::string, std::string>& others) {
    std::vector<std::string> out;
    for (const auto& [id, name] : some) {
        if (!others.contains(id)) out.push_back(printable(name));
    }
    return out;
}

void add_proxies(std::vector<std::string>& out, const Report& report, const OlderReport& older) {
    std::map<std::string, std::string> now;
    for (const ReportProxy& proxy : report.proxies) now[proxy.row.id] = proxy.name;
    constexpr std::size_t most = 20;
    if (const auto left = only_in(older.proxies, now); !left.empty())
        out.push_back("this report does not know " + enumerated(left, most) +
                      ", as the older one did: who is gone may be there still");
    if (const auto came = only_in(now, older.proxies); !came.empty())
        out.push_back("the older report did not know " + enumerated(came, most) +
                      ": who is new may have been there before");
}

std::vector<std::string> caveats(const Report& report, const OlderReport& older) {
    std::vector<std::string> out;
    const auto say = [&](bool applies, const char* sentence) {
        if (applies) out.emplace_back(sentence);
    };
    const auto now = restrictions(report.filter);
    if (older.restrictions && *older.restrictions != now)
        out.push_back("the older report is about others: it covers" + as_options(*older.restrictions) + ", this one" +
                      as_options(now));
    say(older.incomplete, "the older report was incomplete: who is new may have been there before");
    say(!report.summary.incomplete.empty(), "this report is incomplete: who is gone may still be there");
    say(report.summary.silent_proxies > 0, "proxies are silent: who is gone may be one of theirs");
    say(report.filter.since && !older.has_since,
        "this report has a --since, and the older one had none: who is gone may only have been quiet");
    say(older.has_since && !report.filter.since,
        "the older report had a --since, and this one has none: who is new may have been there before");
    say(report.filter.until && *report.filter.until < older.last_seen,
        "this report ends before the older one does: what is called better or gone may be what was before");
    say(!older.knows_proxies,
        "the older report does not tell hosts apart: clients of several are compared by the worst");
    say(report.summary.direct && !older.looked,
        "the older report knew nothing of who goes around pgairlock: who is new there may have been there before");
    say(!report.summary.direct && older.looked,
        "this report knows nothing of who goes around pgairlock: who is gone may still do that");
    if (older.knows_proxies) add_proxies(out, report, older);
    return out;
}

}  // namespace

std::vector<ComparedClient> compared_clients(const Report& report) {
    std::vector<ComparedClient> out;
    for (const ReportClient& client : report.clients) {
        ComparedClient& compared = out.emplace_back();
        compared.source = client.source;
        compared.who = client.row.who;
        if (const auto names = proxies_of(report, client); !compared.who.seen_by.empty() && !names.empty())
            compared.who.seen_by = names.front();
        compared.known = client.known;
        compared.folded = !client.row.names.empty();
        compared.state = state_of(client);
        compared.failing = client.failing;
        compared.weak = client.weak;
        compared.breaks_on_force_ssl = client.breaks_on_force_ssl;
        compared.breaks_on_ca_rotation = client.breaks_on_ca_rotation;
    }
    return out;
}

Comparison compare(const Report& report, const OlderReport& older) {
    Clients then = by_identity(older.clients, older.knows_proxies);
    Clients now = by_identity(compared_clients(report), older.knows_proxies);
    fold_as(then, now);
    fold_as(now, then);
    Comparison out{.until = older.last_seen, .caveats = caveats(report, older)};
    for (const auto& [key, client] : now) {
        const auto before = then.find(key);
        if (before == then.end()) {
            out.fresh.push_back({client});
            continue;
        }
        const int became = balance(before->second, client);
        if (became == 0) continue;
        (became < 0 ? out.worse : out.better).push_back({client, changes(before->second, client)});
    }
    for (const auto& [key, client] : then) {
        if (!now.contains(key)) out.gone.push_back({client});
    }
    const auto worst_first = [](const Difference& a, const Difference& b) { return a.client.state < b.client.state; };
    for (auto* all : {&out.fresh, &out.worse, &out.better, &out.gone})
        std::stable_sort(all->begin(), all->end(), worst_first);
    return out;
}

}  // namespace proxy::report
