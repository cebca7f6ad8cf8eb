// What a loaded configuration uses of certificates, from files of every kind.
#include "proxy/route/in_use.hpp"

#include <algorithm>

#include "proxy/command/check/expiry.hpp"
#include "support/catch.hpp"
#include "support/certificate_files.hpp"

namespace {

using proxy::InUse;
using support::pem;
using support::TemporaryFolder;
using tls::Use;

/// An authority, a certificate below it, and a leaf below that one.
struct Family {
    explicit Family(const std::string& name) {
        root = support::certificate_for(root_key, {.common_name = name + " root", .is_ca = true});
        const support::Issuer by_root{root, root_key};
        middle = support::certificate_for(middle_key, {.common_name = name + " middle", .is_ca = true}, &by_root);
        const support::Issuer by_middle{middle, middle_key};
        leaf = support::certificate_for(leaf_key, {.common_name = name, .not_after = "20280101000000Z"}, &by_middle);
    }

    std::string chain() const { return pem(leaf) + pem(middle); }
    std::string sha256() const { return tls::describe(*leaf).sha256; }

    support::KeyPtr root_key = support::new_key(), middle_key = support::new_key(), leaf_key = support::new_key();
    support::X509Ptr root, middle, leaf;
};

struct Loaded {
    TemporaryFolder folder;
    Family ours{"ours"}, client{"client"}, next{"next"}, server{"server"}, other{"other"};
    config::Config config;
    std::shared_ptr<const proxy::Snapshot> snapshot;

    Loaded() {
        config::Listener listener;
        listener.name = "legacy";
        listener.upstream = "orders";
        listener.tls.cert_file = folder.write("ours.pem", ours.chain());
        listener.tls.key_file = folder.write("ours.key", pem(ours.leaf_key));
        listener.tls.client_cert = config::ClientCert::request;
        listener.tls.ca_file = folder.write("clients.pem", pem(other.root) + pem(client.root));
        config.listeners.push_back(listener);
        config::Upstream upstream;
        upstream.name = "orders";
        upstream.sslmode = protocol::SslMode::verify_full;
        upstream.sslrootcert = {folder.write("one.pem", pem(server.root)),
                                folder.write("two.pem", pem(other.root) + pem(next.root))};
        upstream.sslrootcert_candidate = {folder.write("candidate.pem", pem(next.root))};
        upstream.sslcert = folder.write("client.pem", client.chain());
        upstream.sslkey = folder.write("client.key", pem(client.leaf_key));
        config.upstreams.push_back(upstream);
        config.audit.probe.enabled = true;
        config.audit.probe.kinds = {config::ProbeKind::untrusted, config::ProbeKind::candidate};
        config.audit.probe.candidate_cert_file = folder.write("next.pem", next.chain());
        config.audit.probe.candidate_key_file = folder.write("next.key", pem(next.leaf_key));
        config::Alert alert;
        alert.name = "page";
        alert.webhook = "https://hooks.example/";
        alert.sslrootcert = {folder.path("one.pem")};
        config.alerts.push_back(alert);
        proxy::LoadedSnapshot loaded = proxy::load_snapshot(config, {.path = folder.path("state").path});
        for (const auto& error : loaded.errors) UNSCOPED_INFO(to_string(error));
        REQUIRE(loaded.snapshot);
        snapshot = loaded.snapshot;
    }
};

std::vector<std::string> texts(const std::vector<InUse>& all) {
    std::vector<std::string> texts;
    for (const InUse& one : all) {
        const std::string file = one.file.substr(one.file.rfind('/') + 1);
        texts.push_back(what_for(one) + ": " + one.certificate->subject + " of " + file + (one.alone ? ", alone" : "") +
                        (one.used ? ", used" : ""));
    }
    return texts;
}

TEST_CASE("certificates in use: every kind, with what it is for, its file, and whether it is the only one there") {
    const Loaded loaded;
    const std::vector<InUse> all = certificates_in_use(*loaded.snapshot);
    CHECK(texts(all) == std::vector<std::string>{
                            "certificate of listener legacy: CN=ours of ours.pem, used",
                            "intermediate certificate of listener legacy: CN=ours middle of ours.pem, used",
                            "client CA of listener legacy: CN=other root of clients.pem",
                            "client CA of listener legacy: CN=client root of clients.pem",
                            "candidate certificate of listener legacy: CN=next of next.pem, used",
                            "intermediate certificate of listener legacy: CN=next middle of next.pem, used",
                            "anchor of upstream orders: CN=server root of one.pem, alone",
                            "anchor of upstream orders: CN=other root of two.pem",
                            "anchor of upstream orders: CN=next root of two.pem",
                            "client certificate of upstream orders: CN=client of client.pem, used",
                            "intermediate certificate of upstream orders: CN=client middle of client.pem, used",
                            "candidate anchor of upstream orders: CN=next root of candidate.pem, alone",
                            "anchor of alert page: CN=server root of one.pem, alone",
                        });
    CHECK(all.front().certificate->sha256 == loaded.ours.sha256());
    CHECK(tls::to_rfc3339(all.front().certificate->not_before) == "2026-01-02T03:04:05Z");
    CHECK(tls::to_rfc3339(all.front().certificate->not_after) == "2028-01-01T00:00:00Z");
}

TEST_CASE("certificates in use: an anchor is used once a chain has ended in it, as what it ended in it as") {
    const TemporaryFolder folder;
    const Family family("server"), other("other");
    tls::CertificatesInUse certificates;
    certificates.add(Use::anchor, "ca.pem", *family.root);
    certificates.add(Use::anchor, "ca.pem", *other.root);
    certificates.add(Use::candidate, "next.pem", *family.root, true);
    const auto used = [&] {
        std::vector<bool> flags;
        for (const auto& one : certificates.all()) flags.push_back(one.used);
        return flags;
    };
    CHECK(used() == std::vector<bool>{false, false, false});
    certificates.note_used(Use::anchor, tls::digest(*other.root));
    certificates.note_used(Use::anchor, "none of them");
    CHECK(used() == std::vector<bool>{false, true, false});
    certificates.note_used(Use::candidate, tls::digest(*family.root));
    CHECK(used() == std::vector<bool>{false, true, true});
}

TEST_CASE("certificates in use: what connections have needed stays needed over replacements, for the same user") {
    const auto one = [](Use use, const std::string& upstream, const std::string& sha256, const std::string& file,
                        bool used) {
        tls::CertificateFacts facts;
        facts.sha256 = sha256;
        InUse made{{.use = use,
                    .file = file,
                    .certificate = std::make_shared<const tls::CertificateFacts>(facts),
                    .used = used}};
        (use == Use::client_ca ? made.listener : made.upstream) = upstream;
        return made;
    };
    const auto used = [](const proxy::NeededBefore& before, std::vector<InUse> all) {
        before.mark(all);
        std::vector<bool> flags;
        for (const InUse& certificate : all) flags.push_back(certificate.used);
        return flags;
    };
    proxy::NeededBefore before;
    const auto loaded = [&](const std::string& file) {
        return std::vector{one(Use::anchor, "orders", "a", file, false), one(Use::anchor, "orders", "b", file, false),
                           one(Use::anchor, "reports", "a", file, false),
                           one(Use::candidate, "orders", "a", file, false),
                           one(Use::client_ca, "orders", "c", file, false)};
    };
    CHECK(used(before, loaded("old")) == std::vector<bool>{false, false, false, false, false});
    std::vector<InUse> first = loaded("old");
    first[0].used = first[4].used = true;
    before.take(first);
    CHECK(used(before, loaded("new")) == std::vector<bool>{true, false, false, false, true});
    std::vector<InUse> second = loaded("new");
    second[3].used = true;  // and nobody has logged in with the others since
    before.take(second);
    CHECK(used(before, loaded("new")) == std::vector<bool>{true, false, false, true, true});
    before.take({one(Use::anchor, "orders", "b", "new", false)});  // the others were taken out
    CHECK(used(before, loaded("new")) == std::vector<bool>{false, false, false, false, false});
}

TEST_CASE("certificates in use: an intermediate of ours that a chain goes through is used as its root is") {
    const Family family("server"), other("other");
    tls::CertificatesInUse certificates;
    certificates.add(Use::anchor, "ca.pem", *family.middle);
    certificates.add(Use::anchor, "ca.pem", *other.middle);
    certificates.add(Use::anchor, "ca.pem", *family.root);
    STACK_OF(X509)* const chain = sk_X509_new_null();
    for (const auto* one : {&family.leaf, &family.middle, &family.root}) sk_X509_push(chain, one->get());
    certificates.note_used(Use::anchor, chain);
    sk_X509_free(chain);
    std::vector<bool> used;
    for (const auto& one : certificates.all()) used.push_back(one.used);
    CHECK(used == std::vector<bool>{true, false, true});
    certificates.note_used(Use::anchor, static_cast<const STACK_OF(X509)*>(nullptr));
}

TEST_CASE("certificates that end soon: an intermediate that the server does not send counts, as what it sends") {
    using proxy::command::AddressResult;
    const Family family("server");
    AddressResult shown{.upstream = "orders", .host = "db", .address = "10.0.0.1:5432"};
    const auto link = [](const X509& certificate) { return tls::ChainLink{.certificate = tls::describe(certificate)}; };
    shown.chain = {link(*family.leaf), link(*family.middle), link(*family.root)};
    shown.chain[0].sent = true;
    shown.chain[1].anchor_file = shown.chain[2].anchor_file = "ca.pem";
    shown.chain[2].used = false;
    const auto far = std::chrono::system_clock::now() + std::chrono::hours(24 * 365 * 50);
    const auto all = proxy::command::ends_soon(proxy::Snapshot{}, {}, {shown, shown}, far);
    REQUIRE(all.size() == 3);  // a leaf is told of each address
    CHECK(all[0].what == "shown by 10.0.0.1:5432");
    CHECK(all[1].what == "in the chain of 10.0.0.1:5432");
    CHECK(all[1].file == "ca.pem");
    CHECK(all[2].what == "shown by 10.0.0.1:5432");
}

TEST_CASE("certificates in use: each kind has a word of its own") {
    std::vector<std::string_view> words;
    for (int i = 0; i <= static_cast<int>(Use::server_intermediate); ++i)
        words.push_back(tls::label(static_cast<Use>(i)));
    std::sort(words.begin(), words.end());
    CHECK(std::adjacent_find(words.begin(), words.end()) == words.end());
    CHECK(!words.front().empty());
}

}  // namespace
