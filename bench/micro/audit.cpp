// One line of the audit file.
#include <benchmark/benchmark.h>

#include "proxy/record/event_json.hpp"

namespace {

using namespace std::chrono_literals;

/// A TLS client of Amazon Aurora, as `connected` tells of it: the longest line there is.
proxy::Event connected() {
    proxy::Event event{.kind = proxy::EventKind::connected};
    proxy::SessionRecord& record = event.record;
    record.session = "6743c1a2-1f-3b9a";
    record.listener = "main";
    record.upstream = "orders";
    record.client_addr = "10.20.30.40";
    record.client_port = 40212;
    record.datname = "orders";
    record.usename = "orders_app";
    record.application_name = "billing-worker";
    record.protocol = "3.0";
    record.negotiation = "sslrequest";
    record.ssl = true;
    record.client_tls = {.version = "TLSv1.3",
                         .cipher = "TLS_AES_256_GCM_SHA384",
                         .bits = 256,
                         .alpn = "",
                         .client_dn = "",
                         .certificate_shown = "/etc/pgairlock/server.crt",
                         .certificate_id = "",
                         .resumed = false,
                         .weak = false};
    record.sni = "orders.example.com";
    record.ja4 = "t13d301100_1d37bd780c83_5d9bdf3d9b1c";
    record.evidence = {protocol::Evidence::tls_startup};
    record.auth_method = "scram-sha-256";
    record.auth_bridge = protocol::AuthBridge::cleartext;
    record.gs2_flag = 'p';
    record.backend_pid = 31337;
    record.upstream_addr = "10.20.1.7:5432";
    record.upstream_ssl = true;
    record.upstream_tls.version = "TLSv1.3";
    record.upstream_tls.cipher = "TLS_AES_256_GCM_SHA384";
    record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(
        tls::CertificateFacts{.subject = "CN=orders.cluster-abc.eu-west-1.rds.amazonaws.com",
                              .issuer = "CN=Amazon RDS eu-west-1 Subordinate CA RSA2048 G1.A.1",
                              .sans = {},
                              .serial = "1f",
                              .sha256 = "ab",
                              .end_point = {},
                              .not_before = event.time,
                              .not_after = event.time + 10'000h});
    record.upstream_tls.anchor = "CN=Amazon RDS eu-west-1 Root CA RSA2048 G1";
    record.upstream_tls.anchor_file = "global-bundle.pem";
    record.upstream_sslmode = "verify-full";
    record.timings = {.negotiation = 2100us,
                      .client_tls = 1900us,
                      .resolve = 300us,
                      .connect = 800us,
                      .upstream_tls = 2400us,
                      .login = 5200us,
                      .total = 11'000us};
    return event;
}

void event_to_json(benchmark::State& state) {
    const proxy::Event event = connected();
    std::size_t bytes = 0;
    for (auto _ : state) {
        bytes += proxy::to_json(event).size();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(event_to_json);

}  // namespace
