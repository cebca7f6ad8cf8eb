// No report is greener than the truth: random histories of programs whose settings are known, told
// to real inventories of three hosts, and the report held to what the programs did.
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <random>
#include <set>
#include <tuple>

#include "proxy/inventory/inventory.hpp"
#include "proxy/report/report.hpp"
#include "support/catch.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using protocol::Evidence;
using protocol::ProbeKind;
using protocol::Reaction;
using protocol::Readiness;
using protocol::SslMode;
using protocol::Verifies;
using report::FailOn;

using Time = std::chrono::system_clock::time_point;

// Sanitizers make each history ten times as slow; what they look for is in every one.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int batches = 5;
#else
constexpr int batches = 50;
#endif
constexpr int histories_in_a_batch = 200;
constexpr std::size_t hosts = 3;
constexpr auto consistent_after = 24h * 30;

const Time origin = Time(24h * 20'000);

class Folder {
   public:
    Folder() {
        char name[] = "/tmp/pgairlock-property-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file(std::size_t host) const { return path_ + "/" + std::to_string(host) + ".db"; }

   private:
    std::string path_;
};

/// What a program is set to; a repaired one gets another.
struct Setting {
    SslMode sslmode{};
    bool has_root =
        false;  ///< `prefer` and `require` verify the chain where they find a root certificate, as libpq's do
    bool trusts_us = false;
    bool trusts_candidate = false;

    bool verifies() const { return sslmode >= SslMode::verify_ca || (sslmode >= SslMode::prefer && has_root); }
};

/// One program on one host, and what it did, within the range that is asked for and before its end.
struct Program {
    std::size_t host = 0;
    ClientIdentity who;
    std::string ja4;
    Setting setting;

    std::vector<Time> clear;  ///< connections
    std::vector<Time> tls;
    std::uint64_t failures = 0;
    std::vector<Time> accepted_impostors;
    bool refused_candidate = false;
    bool was_changed = false;
    bool was_shown_ours = false;
};

class History {
   public:
    History(std::mt19937& random, std::string upstream, std::vector<Event>& events, Time since, Time until)
        : random_(random), upstream_(std::move(upstream)), events_(events), since_(since), until_(until) {
        const int programs = 1 + below(4);
        for (int i = 0; i < programs; ++i) programs_.push_back(make_program());
        Time now = origin;
        const int days = 1 + below(90);
        const int steps = 5 + below(40);
        for (int i = 0; i < steps; ++i) {
            now += std::chrono::seconds(below(2 * 86'400 * days / steps) + 20);
            Program& one = programs_[static_cast<std::size_t>(below(programs))];
            if (chance(5)) {
                one.setting = make_setting();
                one.was_changed = true;
            }
            connect(one, now);
        }
    }

    std::vector<Program>& programs() { return programs_; }

   private:
    int below(int n) { return std::uniform_int_distribution<int>(0, std::max(n, 1) - 1)(random_); }
    bool chance(int percent) { return below(100) < percent; }
    bool in_range(Time time) const { return time >= since_ && time <= until_; }

    Setting make_setting() {
        return {.sslmode = static_cast<SslMode>(below(6)),
                .has_root = chance(40),
                .trusts_us = chance(80),
                .trusts_candidate = chance(50)};
    }

    /// Names and addresses are few, so that programs share them.
    Program make_program() {
        Program program;
        program.host = static_cast<std::size_t>(below(static_cast<int>(hosts)));
        program.who.upstream = upstream_;
        const bool local = chance(50);
        program.who.client_addr = local ? "127.0.0.1" : "10.0.0." + std::to_string(below(3));
        if (local) {
            program.who.client_uid = below(2);
            if (chance(80)) program.who.client_exe = std::string("/bin/") + static_cast<char>('a' + below(3));
        }
        program.who.usename = chance(70) ? "app" : "web";
        program.who.datname = "db";
        if (chance(50)) program.who.application_name = "job " + std::string(1, static_cast<char>('a' + below(2)));
        program.ja4 = "t13_" + std::to_string(below(3));
        program.setting = make_setting();
        if (!programs_.empty() && chance(40)) share_a_place(program);
        return program;
    }

    /// The same driver on the same host, and perhaps with the same names.
    void share_a_place(Program& program) {
        const Program& other = programs_[static_cast<std::size_t>(below(static_cast<int>(programs_.size())))];
        const ClientNames names = program.who;
        program.host = other.host;
        program.who = other.who;
        program.ja4 = other.ja4;
        if (chance(50)) static_cast<ClientNames&>(program.who) = names;
    }

    Event event(const Program& program, EventKind kind, Evidence evidence, Time time) {
        Event event{.kind = kind};
        event.time = time;
        SessionRecord& record = event.record;
        record.session = std::to_string(program.host);  // who is told of it
        record.listener = "l";
        record.upstream = upstream_;
        record.client_addr = program.who.client_addr;
        if (program.who.client_uid >= 0) {
            record.process = std::make_shared<ProcessOwner>(
                Process{.uid = static_cast<uid_t>(program.who.client_uid), .pid = 0, .exe = program.who.client_exe},
                true);
        }
        record.evidence = {evidence};
        if (kind == EventKind::tls_failed) {
            record.ja4 = program.ja4;
            return event;
        }
        record.usename = program.who.usename;
        record.datname = program.who.datname;
        record.application_name = program.who.application_name;
        return event;
    }

    void log_in(Program& program, Event event, bool clear) {
        event.record.ssl = !clear;
        if (!clear) {
            event.record.client_tls.version = "TLSv1.3";
            event.record.ja4 = program.ja4;
        }
        const Time time = event.time;
        const bool denied = chance(5);
        if (denied) event.kind = EventKind::auth_failed;
        events_.push_back(std::move(event));
        if (!in_range(time)) return;
        program.failures += denied ? 1 : 0;
        if (!denied) (clear ? program.clear : program.tls).push_back(time);
    }

    void connect(Program& program, Time time) {
        const Setting& setting = program.setting;
        if (setting.sslmode <= SslMode::allow)
            return log_in(program, event(program, EventKind::connected, Evidence::clear_startup, time), true);

        // Nobody's first connection is probed, nor anybody where our own certificate was refused.
        std::optional<ProbeKind> shown;
        const auto source = std::tuple(program.host, ClientOrigin(program.who), program.ja4);
        if (std::exchange(program.was_shown_ours, true) && !refused_ours_.contains(source) && chance(30))
            shown = static_cast<ProbeKind>(below(3));
        bool accepts = !setting.verifies() || setting.trusts_us;
        if (shown == ProbeKind::untrusted) accepts = !setting.verifies();
        if (shown == ProbeKind::candidate) accepts = !setting.verifies() || setting.trusts_candidate;
        if (shown == ProbeKind::wrong_name) accepts = accepts && setting.sslmode != SslMode::verify_full;
        if (in_range(time)) {
            if (accepts && shown == ProbeKind::untrusted) program.accepted_impostors.push_back(time);
            program.refused_candidate |= !accepts && shown == ProbeKind::candidate;
        }
        if (accepts) {
            const Evidence evidence = evidence_of(Reaction::accepts, shown);
            return log_in(program, event(program, EventKind::connected, evidence, time), false);
        }
        Event refused = event(program, EventKind::tls_failed, evidence_of(Reaction::refuses, shown), time);
        refused.record.probe = shown;
        events_.push_back(std::move(refused));
        if (!shown) refused_ours_.insert(source);
        if (in_range(time)) program.failures += shown ? 0 : 1;
        if (setting.sslmode != SslMode::prefer) return;
        const bool known_process = !program.who.client_exe.empty();
        const Evidence evidence =
            known_process ? Evidence::clear_startup_after_refusal : Evidence::clear_startup_after_tls;
        log_in(program, event(program, EventKind::connected, evidence, time + 10ms), true);
    }

    std::mt19937& random_;
    std::string upstream_;
    std::vector<Event>& events_;
    Time since_, until_;
    std::vector<Program> programs_;
    std::set<std::tuple<std::size_t, ClientOrigin, std::string>> refused_ours_;
};

bool same_client(const Program& program, const report::ReportClient& client) {
    ClientIdentity who = client.row.who;
    const bool local = !who.seen_by.empty();
    who.seen_by.clear();
    return who == program.who && (!local || client.row.proxies.contains("host" + std::to_string(program.host)));
}

/// All that is behind a row, whichever program did it.
struct Truth {
    std::size_t programs = 0;
    std::vector<Time> clear;
    std::vector<Time> tls;
    Time newest{};
    bool one_trace = true;  ///< all of them leave the same traces in handshakes, and nobody else does

    /// What the rules allow: a long time, and as many connections, of something else.
    bool clear_text_is_past() const {
        const Time last = *std::max_element(clear.begin(), clear.end());
        const auto since = std::count_if(tls.begin(), tls.end(), [&](Time time) { return time > last; });
        const Time last_tls = tls.empty() ? Time() : *std::max_element(tls.begin(), tls.end());
        return last_tls - last >= consistent_after && static_cast<std::size_t>(since) >= clear.size();
    }
    bool is_past(Time time) const { return newest - time >= consistent_after; }
};

Truth truth_of(const std::vector<Program>& programs, const report::ReportClient& client) {
    Truth truth;
    std::set<std::string> ja4;
    for (const Program& program : programs) {
        const bool there = program.who.client_addr == client.row.who.client_addr;
        if (!same_client(program, client)) {
            truth.one_trace &= !there;
            continue;
        }
        ++truth.programs;
        ja4.insert(program.ja4);
        truth.clear.insert(truth.clear.end(), program.clear.begin(), program.clear.end());
        truth.tls.insert(truth.tls.end(), program.tls.begin(), program.tls.end());
    }
    truth.one_trace &= ja4.size() == 1;
    truth.newest = Time(std::chrono::microseconds(client.row.last_seen));
    return truth;
}

/// A mode that it had in that range is one of those that the report leaves open; behaviour counts,
/// not its spelling: `require` with a root certificate verifies.
bool holds(const report::ReportClient& client, const Setting& setting) {
    SslMode lowest = setting.sslmode;
    SslMode highest = setting.sslmode;
    if (setting.sslmode == SslMode::require && setting.has_root) highest = SslMode::verify_ca;
    return client.sslmode.min <= highest && client.sslmode.max >= lowest;
}

void check_one(const Program& program, const Truth& truth, const report::ReportClient& client) {
    CHECK(client.row.plain >= program.clear.size());
    CHECK(client.row.connections >= program.clear.size() + program.tls.size());
    if (!truth.clear.empty() && !truth.clear_text_is_past()) {
        CHECK(client.weak);
        CHECK(client.plain);
        CHECK(client.breaks_on_force_ssl != Readiness::no);
        if (!truth.tls.empty()) CHECK(client.mixed);
    }
    if (std::any_of(program.accepted_impostors.begin(), program.accepted_impostors.end(),
                    [&](Time time) { return !truth.is_past(time); }))
        CHECK(client.verifies == Verifies::no);
    if (program.refused_candidate && !program.was_changed && truth.one_trace)
        CHECK((client.breaks_on_ca_rotation != Readiness::no || client.sslmode.max <= SslMode::require));
    // What was never seen cannot be known: so only of those that stayed as they were, and are
    // alone.
    if (program.was_changed || truth.programs > 1) return;
    if (!program.setting.verifies()) CHECK(client.verifies != Verifies::yes);
    CHECK(holds(client, program.setting));
}

void check(const std::vector<Program>& programs, const report::Report& all, const std::string& upstream) {
    std::vector<const report::ReportClient*> rows;
    for (const report::ReportClient& client : all.clients) {
        if (client.row.who.upstream == upstream) rows.push_back(&client);
    }
    for (const Program& program : programs) {
        INFO(upstream << ": " << program.who.client_addr << " " << program.who.client_exe << " " << program.who.usename
                      << " " << program.who.application_name << " on host " << program.host);
        const auto found = std::find_if(rows.begin(), rows.end(),
                                        [&](const auto* row) { return row->known && same_client(program, *row); });
        const bool connected = !program.clear.empty() || !program.tls.empty();
        if (connected) REQUIRE(found != rows.end());
        // What failed only in handshakes has no names.
        if (!connected && program.failures > 0) {
            const auto there = [&](const ClientOrigin& from) {
                return from.upstream == upstream && from.client_addr == program.who.client_addr;
            };
            CHECK((std::any_of(rows.begin(), rows.end(),
                               [&](const auto* row) { return there(row->row.who) && row->failures() > 0; }) ||
                   std::any_of(all.unattributed.begin(), all.unattributed.end(),
                               [&](const report::Unattributed& one) { return there(one.from); })));
        }
        if (found == rows.end()) continue;
        const report::ReportClient& client = **found;
        INFO("sslmode " << report::interval_text(client.sslmode) << ", verifies " << to_string(client.verifies) << ", "
                        << client.row.plain << " of " << client.row.connections << " in clear");
        check_one(program, truth_of(programs, client), client);
    }
}

/// A batch of histories, each about an upstream of its own, told to three hosts.
void run_batch(std::mt19937& random) {
    const Folder folder;
    const auto days = [&](int most) { return 24h * std::uniform_int_distribution<int>(0, most)(random); };
    const bool all_time = days(1) == 0h;
    const Time since = all_time ? Time() : origin + days(40);
    const Time until = all_time ? Time(24h * 40'000) : since + 24h + days(60);
    std::vector<Event> events;
    std::vector<History> histories;
    for (int i = 0; i < histories_in_a_batch; ++i)
        histories.emplace_back(random, "db" + std::to_string(i), events, since, until);
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.time < b.time; });

    std::vector<InventoryRows> inventories;
    const bool loses = days(3) == 0h;
    for (std::size_t host = 0; host < hosts; ++host) {
        {
            Inventory inventory(
                {.path = folder.file(host),
                 .proxy = {.name = "host" + std::to_string(host), .consistent_after = consistent_after}});
            for (Event event : events) {
                if (event.record.session != std::to_string(host)) continue;
                inventory.absorb(event);
                if (event.kind != EventKind::connected) continue;
                event.kind = EventKind::disconnected;  // at once: one that stays open counts by the real clock
                inventory.absorb(event);
            }
            if (loses && host == 0) inventory.lost(1);
            inventory.flush();
        }
        // A start years later, or earlier, forgets nobody: a clock may be wrong.
        Inventory again({.path = folder.file(host), .retention = 24h * 400});
        for (InventoryRows& rows : read_inventories(folder.file(host))) {
            rows.instance = rows.proxy.id = "host" + std::to_string(host);
            inventories.push_back(std::move(rows));
        }
    }
    report::ReportFilter filter{.now = to_timestamp(origin + 24h * 200)};
    if (!all_time) {
        filter.since = to_timestamp(since);
        filter.until = to_timestamp(until);
    }
    const report::Report all = make_report(inventories, filter);
    if (loses) {
        CHECK_FALSE(all.summary.incomplete.empty());
        for (const FailOn what : {FailOn::weak, FailOn::rotation, FailOn::force_ssl}) CHECK(has_failed(all, what));
    }
    for (std::size_t i = 0; i < histories.size(); ++i) check(histories[i].programs(), all, "db" + std::to_string(i));
}

}  // namespace

TEST_CASE("no report is greener than the truth") {
    for (int seed = 0; seed < batches; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        run_batch(random);
    }
}
