#include "proxy/record/event_json.hpp"

#include <boost/json.hpp>
#include <set>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using proxy::Event;
using proxy::EventKind;
using proxy::SessionRecord;
namespace json = boost::json;

constexpr auto noon = std::chrono::system_clock::time_point() + 1'700'000'000s + 42us;

json::object line(const Event& event) {
    const std::string text = proxy::to_json(event);
    REQUIRE(text.find('\n') == std::string::npos);
    return json::parse(text).as_object();  // throws unless it is JSON in UTF-8
}

std::set<std::string> keys(const json::object& object) {
    std::set<std::string> out;
    for (const auto& member : object) out.insert(std::string(member.key()));
    return out;
}

const std::set<std::string> in_every_line{"ts",       "event",       "session",     "listener",
                                          "upstream", "client_addr", "client_port", "client_process"};
const std::set<std::string> identity{"datname", "usename", "application_name", "ssl",
                                     "version", "cipher",  "negotiation",      "client_dn"};

std::set<std::string> with(std::set<std::string> base, const std::set<std::string>& more) {
    base.insert(more.begin(), more.end());
    return base;
}

SessionRecord full_record() {
    SessionRecord record;
    record.session = "6f0c-1";
    record.listener = "main";
    record.upstream = "db";
    record.client_addr = "10.0.0.1";
    record.client_port = 40000;
    record.datname = "shop";
    record.usename = "ada";
    record.application_name = "psql";
    record.protocol = "3.0";
    record.negotiation = "sslrequest";
    record.ssl = true;
    record.client_tls = {.version = "TLSv1.3",
                         .cipher = "TLS_AES_256_GCM_SHA384",
                         .group = "X25519",
                         .bits = 256,
                         .alpn = "postgresql",
                         .client_dn = "CN=ada",
                         .certificate_shown = "/etc/cert.pem",
                         .certificate_id = "",
                         .resumed = false,
                         .weak = false};
    record.sni = "db.example.com";
    record.ja4 = "t13d1812pl_x_y";
    record.evidence = {protocol::Evidence::tls_startup, protocol::Evidence::client_certificate};
    record.auth_method = "scram-sha-256";
    record.auth_bridge = protocol::AuthBridge::cleartext;
    record.gs2_flag = 'y';
    record.upstream_role = protocol::HostRole::standby;
    record.backend_pid = 4'000'000'000;
    record.upstream_addr = "10.0.0.2:5432";
    record.upstream_ssl = true;
    record.upstream_tls.version = "TLSv1.3";
    record.upstream_tls.cipher = "TLS_AES_128_GCM_SHA256";
    record.upstream_tls.group = "P-256";
    record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(tls::CertificateFacts{.subject = "CN=db",
                                                                                                   .issuer = "CN=root",
                                                                                                   .sans = {},
                                                                                                   .serial = "1",
                                                                                                   .sha256 = "2",
                                                                                                   .end_point = {},
                                                                                                   .not_before = {},
                                                                                                   .not_after = noon});
    record.upstream_tls.anchor = "CN=root";
    record.upstream_tls.anchor_file = "root.pem";
    record.upstream_sslmode = "verify-full";
    record.failed_attempts = 2;
    record.timings.failed_attempts = 250us;
    record.timings.turn = 40us;
    record.timings.host_wait = 700us;
    record.timings.login = 1500us;
    record.timings.total = 5000us;
    record.bytes_from_client = 10'000'000'000;
    record.bytes_from_server = 2;
    return record;
}

Event event(EventKind kind) {
    Event event{.kind = kind};
    event.time = noon;
    event.record = full_record();
    return event;
}

}  // namespace

TEST_CASE("every line says when, what and from where") {
    for (int i = 0; i <= static_cast<int>(EventKind::events_dropped); ++i) {
        const auto kind = static_cast<EventKind>(i);
        const json::object got = line(event(kind));
        CHECK(got.at("ts") == "2023-11-14T22:13:20.000042Z");
        CHECK(got.at("event") == json::string_view(label(kind).data(), label(kind).size()));
        CHECK(got.at("session") == "6f0c-1");
        CHECK(got.at("listener") == "main");
        CHECK(got.at("upstream") == "db");
        CHECK(got.at("client_addr") == "10.0.0.1");
        CHECK(got.at("client_port") == 40000);
        CHECK(got.at("client_process").is_null());
    }
}

TEST_CASE("a server's certificate is told with what vouches for it, and what did before") {
    Event shown = event(EventKind::upstream_certificate);
    shown.record.upstream_tls.anchor_key_sha256 = "aa";
    json::object got = line(shown);
    CHECK(got.at("ca") == "first");
    CHECK(got.at("anchor") == "CN=root");
    CHECK(got.at("anchor_key_sha256") == "aa");
    CHECK(got.at("issuer_key_id").is_null());
    CHECK(got.at("group") == "P-256");
    for (const char* const before : {"issuer_before", "anchor_before", "issuer_key_id_before",
                                     "anchor_key_sha256_before", "sha256_before", "upstream_addr_before"})
        CHECK(got.at(before).is_null());
    shown.shown_before =
        std::make_shared<const proxy::ShownCertificate>(proxy::ShownCertificate{.upstream = "db",
                                                                                .upstream_addr = "10.0.0.3:5432",
                                                                                .sha256 = "1",
                                                                                .issuer = "CN=root",
                                                                                .issuer_key_id = "01",
                                                                                .anchor = "CN=root",
                                                                                .anchor_key_sha256 = "bb"});
    got = line(shown);
    CHECK(got.at("ca") == "other");
    CHECK(got.at("issuer_before") == "CN=root");
    CHECK(got.at("anchor_before") == "CN=root");
    CHECK(got.at("issuer_key_id_before") == "01");
    CHECK(got.at("anchor_key_sha256_before") == "bb");
    CHECK(got.at("sha256_before") == "1");
    CHECK(got.at("upstream_addr_before") == "10.0.0.3:5432");
}

TEST_CASE("connected tells everything that is known") {
    const json::object got = line(event(EventKind::connected));
    CHECK(keys(got) == with(with(in_every_line, identity), {"replication",
                                                            "protocol",
                                                            "bits",
                                                            "group",
                                                            "alpn",
                                                            "resumed",
                                                            "sni",
                                                            "ja4",
                                                            "certificate_shown",
                                                            "not_probed",
                                                            "probe",
                                                            "sslmode_min",
                                                            "sslmode_max",
                                                            "verifies",
                                                            "evidence",
                                                            "weak",
                                                            "auth_method",
                                                            "auth_bridge",
                                                            "gs2_flag",
                                                            "backend_pid",
                                                            "upstream_addr",
                                                            "upstream_ssl",
                                                            "upstream_prewarmed",
                                                            "upstream_version",
                                                            "upstream_cipher",
                                                            "upstream_group",
                                                            "upstream_issuer",
                                                            "upstream_anchor",
                                                            "upstream_anchor_file",
                                                            "upstream_anchor_key_sha256",
                                                            "upstream_not_after",
                                                            "upstream_sslmode",
                                                            "candidate_ok",
                                                            "upstream_role",
                                                            "upstream_addr_stale",
                                                            "failed_attempts",
                                                            "timings_us"}));
    CHECK(got.at("upstream_role") == "standby");
    CHECK(got.at("usename") == "ada");
    CHECK(got.at("datname") == "shop");
    CHECK(got.at("ssl") == true);
    CHECK(got.at("bits") == 256);
    CHECK(got.at("group") == "X25519");
    CHECK(got.at("upstream_group") == "P-256");
    CHECK(got.at("replication").is_null());
    CHECK(got.at("evidence") == json::array({"tls_startup", "client_certificate"}));
    CHECK(got.at("sslmode_min") == "allow");
    CHECK(got.at("sslmode_max") == "verify-full");
    CHECK(got.at("verifies") == "unknown");
    CHECK(got.at("weak") == false);
    CHECK(got.at("gs2_flag") == "y");
    CHECK(got.at("auth_bridge") == "cleartext");
    CHECK(got.at("backend_pid") == 4'000'000'000);
    CHECK(got.at("upstream_issuer") == "CN=root");
    CHECK(got.at("upstream_not_after") == "2023-11-14T22:13:20Z");
    CHECK(keys(got.at("timings_us").as_object()) ==
          std::set<std::string>{"negotiation", "client_tls", "turn", "host_wait", "resolve", "connect", "upstream_tls",
                                "failed_attempts", "login", "total"});
    CHECK(got.at("failed_attempts") == 2);
    CHECK(got.at("timings_us").at("failed_attempts") == 250);
    CHECK(got.at("timings_us").at("turn") == 40);
    CHECK(got.at("timings_us").at("host_wait") == 700);
    CHECK(got.at("timings_us").at("login") == 1500);
}

TEST_CASE("what is not known is null, and not empty") {
    Event bare{.kind = EventKind::connected};
    const json::object got = line(bare);
    for (const char* key : {"session", "client_addr", "client_port", "datname", "usename", "application_name",
                            "version", "cipher", "bits", "group", "alpn", "sni", "ja4", "client_dn", "auth_method",
                            "gs2_flag", "upstream_version", "upstream_group", "upstream_not_after"}) {
        CHECK(got.at(key).is_null());
    }
    CHECK(got.at("evidence") == json::array());
    CHECK(got.at("verifies") == "unknown");
}

TEST_CASE("a session is weak in clear, under old TLS, or when its client would accept an impostor") {
    SessionRecord record = full_record();
    CHECK_FALSE(record.weak());
    SECTION("in clear") { record.ssl = false; }
    SECTION("old TLS") { record.client_tls.weak = true; }
    SECTION("an impostor would be accepted") { record.evidence = {protocol::Evidence::tls_startup_undistributed}; }
    CHECK((record.weak() || record.evidence.size() == 2));
}

TEST_CASE("a UNIX-domain client has no address and port -1") {
    Event event{.kind = EventKind::connected};
    event.record.session = "6f0c-2";
    const json::object got = line(event);
    CHECK(got.at("client_addr").is_null());
    CHECK(got.at("client_port") == -1);
}

TEST_CASE("disconnected tells how long, how much and why") {
    Event over = event(EventKind::disconnected);
    over.reason = proxy::Reason::client_closed;
    over.duration = 1'500'000us;
    const json::object got = line(over);
    CHECK(keys(got) == with(with(in_every_line, identity),
                            {"duration_us", "bytes_from_client", "bytes_from_server", "reason", "sqlstate"}));
    CHECK(got.at("duration_us") == 1'500'000);
    CHECK(got.at("bytes_from_client") == 10'000'000'000);
    CHECK(got.at("reason") == "client_closed");
    CHECK(got.at("sqlstate").is_null());
}

TEST_CASE("certificate_expiring says what the certificate is for, and how long it lasts") {
    Event expiring{.kind = EventKind::certificate_expiring, .message = "a trust anchor ends in 12 days"};
    expiring.record.upstream = "orders";
    tls::CertificateFacts facts;
    facts.subject = "CN=root";
    facts.sha256 = "5e88";
    facts.not_after = std::chrono::system_clock::time_point(std::chrono::hours(24 * 20'000));
    expiring.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(facts);
    expiring.expiry = std::make_shared<const proxy::ExpiryNote>(proxy::ExpiryNote{.use = tls::Use::anchor,
                                                                                  .what = "anchor of upstream orders",
                                                                                  .file = "/etc/ca.pem",
                                                                                  .alert = "",
                                                                                  .moment = "begins",
                                                                                  .days_left = 12});
    const json::object got = line(expiring);
    CHECK(keys(got) ==
          with(in_every_line, {"upstream_addr", "subject", "issuer", "serial", "sha256", "not_before", "not_after",
                               "certificate_kind", "file", "alert", "moment", "days_left", "message", "not_told"}));
    CHECK(got.at("certificate_kind") == "anchor");
    CHECK(got.at("file") == "/etc/ca.pem");
    CHECK(got.at("moment") == "begins");
    CHECK(got.at("days_left") == 12);
    CHECK(got.at("not_after") == "2024-10-04T00:00:00Z");
    CHECK(got.at("upstream") == "orders");
    CHECK(got.at("upstream_addr").is_null());
    CHECK(got.at("alert").is_null());
}

TEST_CASE("host_role_changed says which server, what it was, what it is and who was told") {
    Event changed{.kind = EventKind::host_role_changed};
    changed.record.upstream = "orders";
    changed.record.upstream_addr = "10.0.0.2:5432";
    changed.role = std::make_shared<const proxy::RoleNote>(proxy::RoleNote{.host = "db-2:5432",
                                                                           .before = protocol::HostRole::standby,
                                                                           .now = protocol::HostRole::primary,
                                                                           .source = "monitor"});
    const json::object got = line(changed);
    CHECK(keys(got) == with(in_every_line, {"upstream_addr", "host", "role_before", "role", "source"}));
    CHECK(got.at("upstream") == "orders");
    CHECK(got.at("upstream_addr") == "10.0.0.2:5432");
    CHECK(got.at("host") == "db-2:5432");
    CHECK(got.at("role_before") == "standby");
    CHECK(got.at("role") == "primary");
    CHECK(got.at("source") == "monitor");
    CHECK(got.at("session").is_null());
}

TEST_CASE("tls_failed tells the alert, or that there was none") {
    Event failed = event(EventKind::tls_failed);
    failed.record.evidence = {protocol::Evidence::tls_refused};
    failed.message = "alert unknown ca (48)";
    failed.alert = 48;
    const json::object got = line(failed);
    CHECK(got.at("alert") == 48);
    CHECK(got.at("error") == "alert unknown ca (48)");
    CHECK(got.at("verifies") == "yes");
    CHECK(got.at("evidence") == json::array({"tls_refused"}));
    failed.alert = -1;
    CHECK(line(failed).at("alert").is_null());
    failed.alert = 0;
    CHECK(line(failed).at("alert") == 0);
}

TEST_CASE("auth_failed, rejected, upstream_failed and cancel tell their causes") {
    SECTION("auth_failed") {
        Event e = event(EventKind::auth_failed);
        e.sqlstate = "28P01";
        e.message = "password authentication failed";
        CHECK(line(e).at("sqlstate") == "28P01");
        CHECK(line(e).at("message") == "password authentication failed");
        CHECK(line(e).at("auth_method") == "scram-sha-256");
    }
    SECTION("rejected") {
        Event e = event(EventKind::rejected);
        e.reason = proxy::Reason::tls_required;
        CHECK(line(e).at("reason") == "tls_required");
        CHECK(line(e).at("sqlstate").is_null());
        CHECK(line(e).at("looks_like").is_null());
        e.record.looks_like = protocol::Foreign::http;
        CHECK(line(e).at("looks_like") == "http");
    }
    SECTION("upstream_failed") {
        Event e = event(EventKind::upstream_failed);
        e.message = "certificate verify failed";
        e.verify_error = "certificate has expired";
        CHECK(line(e).at("error") == "certificate verify failed");
        CHECK(line(e).at("verify_error") == "certificate has expired");
    }
    SECTION("cancel") {
        Event e = event(EventKind::cancel);
        e.ssl = true;
        e.matched = true;
        CHECK(line(e).at("ssl") == true);
        CHECK(line(e).at("matched") == true);
        CHECK(line(e).at("limited") == false);
        CHECK(line(e).at("error").is_null());
        e.limited = true;
        CHECK(line(e).at("limited") == true);
    }
    SECTION("console_command") {
        Event e = event(EventKind::console_command);
        e.by = "uid 0 (root)";
        e.message = "RELOAD";
        CHECK(line(e).at("by") == "uid 0 (root)");
        CHECK(line(e).at("message") == "RELOAD");
    }
    SECTION("events_dropped") {
        Event e = event(EventKind::events_dropped);
        e.count = 17;
        CHECK(line(e).at("count") == 17);
    }
}

TEST_CASE("whatever a client calls itself, the line is one line of JSON in UTF-8") {
    const auto written = [](const std::string& name) {
        Event e = event(EventKind::connected);
        e.record.usename = name;
        e.record.sni = name;
        return std::string(line(e).at("usename").as_string());
    };
    CHECK(written("ada\n\"\\\t\x01") == "ada\n\"\\\t\x01");
    CHECK(written("J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x90\x98") == "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x90\x98");
    const std::string replaced = "\xef\xbf\xbd";
    CHECK(written("\xff") == replaced);
    CHECK(written("J\xfcrgen") == "J" + replaced + "rgen");
    CHECK(written("\xc3") == replaced);
    CHECK(written("\xc0\xaf") == replaced + replaced);
    CHECK(written("\xed\xa0\x80") == replaced + replaced + replaced);
    CHECK(written("\xe2\x82") == replaced + replaced);
    CHECK(written("\xf4\x90\x80\x80") == replaced + replaced + replaced + replaced);
    for (int byte = 1; byte < 256; ++byte) CHECK_FALSE(written(std::string(3, static_cast<char>(byte))).empty());
}

TEST_CASE("messages of a server are written as they came, or made UTF-8") {
    for (const EventKind kind :
         {EventKind::auth_failed, EventKind::tls_failed, EventKind::upstream_failed, EventKind::rejected,
          EventKind::cancel, EventKind::reload_failed, EventKind::disconnected}) {
        Event e = event(kind);
        e.message = "r\xf4le inconnu";
        e.sqlstate = "\xff";
        e.verify_error = e.message;
        CHECK_FALSE(line(e).empty());
    }
}

TEST_CASE("a capture's beginning and end say who wanted what, and the end what became of it") {
    auto note = std::make_shared<proxy::CaptureNote>();
    note->id = 3;
    note->by = "uid 1000 (alice)";
    note->payload = "redacted";
    note->trigger = "failures";
    note->where = "/state/captures";
    note->until = noon;
    Event happened{.kind = EventKind::capture_started};
    happened.capture = note;
    const json::object began = line(happened);
    CHECK(keys(began) == with(in_every_line, {"capture", "by", "payload", "trigger", "filter", "keylog",
                                              "allow_secrets", "where", "until"}));
    CHECK(began.at("until") == "2023-11-14T22:13:20.000042Z");
    CHECK(began.at("filter").is_null());
    CHECK(began.at("session").is_null());
    note->reason = "disk";
    note->dropped = 7;
    note->files_removed = 2;
    note->stopped_by = "uid 1000 (alice)";
    happened.kind = EventKind::capture_stopped;
    happened.message = "no space left";
    const json::object over = line(happened);
    CHECK(keys(over) == with(with(in_every_line, {"capture", "by", "payload", "trigger", "filter", "keylog",
                                                  "allow_secrets", "where", "until"}),
                             {"reason", "message", "sessions", "packets", "bytes", "dropped", "left_out", "not_entered",
                              "entries_dropped", "rests", "files_removed", "stopped_by"}));
    CHECK(over.at("reason") == "disk");
    CHECK(over.at("dropped") == 7);
    CHECK(over.at("files_removed") == 2);
    CHECK(over.at("stopped_by") == "uid 1000 (alice)");
    CHECK(over.at("message") == "no space left");
}
