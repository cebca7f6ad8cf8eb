#include "tls/chain.hpp"

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "tls/certificates.hpp"

namespace {

using namespace support;

struct Identity {
    KeyPtr key = new_key();
    X509Ptr certificate;
};

Identity identity(const Spec& spec, const Identity* issuer = nullptr) {
    Identity made;
    if (issuer) {
        const support::Issuer by{issuer->certificate, issuer->key};
        made.certificate = certificate_for(made.key, spec, &by);
    } else {
        made.certificate = certificate_for(made.key, spec);
    }
    return made;
}

/// A root, an intermediate and a leaf, and somebody else.
struct World {
    Identity root = identity({.common_name = "root", .is_ca = true});
    Identity intermediate = identity({.common_name = "intermediate", .is_ca = true}, &root);
    Identity leaf = identity({.common_name = "leaf"}, &intermediate);
    Identity stranger = identity({.common_name = "stranger", .is_ca = true});
};

struct Sent {
    std::string names;
    std::string findings;
};

Sent sent(const std::string& file, const KeyPtr& key) {
    tls::Chain chain = tls::sort_chain(tls::read_pem(protocol::as_bytes(file)).certificates, *key);
    Sent result;
    if (!chain.leaf) return {.names = "none", .findings = {}};
    result.names = tls::describe(*chain.leaf).subject;
    for (const X509Ptr& issuer : chain.issuers) result.names += " " + tls::describe(*issuer).subject;
    for (const std::string& finding : chain.findings) result.findings += finding + "|";
    return result;
}

}  // namespace

TEST_CASE("a chain in its order is sent as it is, and nothing is said") {
    const World w;
    const Sent whole =
        sent(pem(w.leaf.certificate) + pem(w.intermediate.certificate) + pem(w.root.certificate), w.leaf.key);
    CHECK(whole.names == "CN=leaf CN=intermediate CN=root");
    CHECK(whole.findings.empty());
    const Sent usual = sent(pem(w.leaf.certificate) + pem(w.intermediate.certificate), w.leaf.key);
    CHECK(usual.names == "CN=leaf CN=intermediate");
    CHECK(usual.findings.empty());
    const Sent alone = sent(pem(w.leaf.certificate), w.leaf.key);  // its issuer may be a root
    CHECK(alone.names == "CN=leaf");
    CHECK(alone.findings.empty());
}

TEST_CASE("a chain in any order is put right") {
    const World w;
    const std::string leaf = pem(w.leaf.certificate), intermediate = pem(w.intermediate.certificate),
                      root = pem(w.root.certificate);
    const Sent reversed = sent(root + intermediate + leaf, w.leaf.key);
    CHECK(reversed.names == "CN=leaf CN=intermediate CN=root");
    CHECK(contains(reversed.findings, "CN=leaf, which is sent first; PostgreSQL and libpq want it to stand first"));
    const Sent swapped = sent(leaf + root + intermediate, w.leaf.key);
    CHECK(swapped.names == "CN=leaf CN=intermediate CN=root");
    CHECK(swapped.findings == "its certificates are sent in the order of who issued whom, not of the file|");
    const Sent twice = sent(leaf + intermediate + leaf + intermediate, w.leaf.key);
    CHECK(twice.names == "CN=leaf CN=intermediate");
    CHECK(twice.findings.empty());
}

TEST_CASE("what belongs to no chain is not sent, and is named with its line") {
    const World w;
    const Sent mixed =
        sent(pem(w.leaf.certificate) + pem(w.stranger.certificate) + pem(w.intermediate.certificate), w.leaf.key);
    CHECK(mixed.names == "CN=leaf CN=intermediate");
    CHECK(contains(mixed.findings, ", CN=stranger: has issued none of the certificates before it, and is not sent"));
}

TEST_CASE("a key that belongs to no certificate gives no chain") {
    const World w;
    CHECK(sent(pem(w.leaf.certificate) + pem(w.intermediate.certificate), w.stranger.key).names == "none");
}

TEST_CASE("an intermediate that is missing is said where the file shows it") {
    const World w;
    const Sent gap = sent(pem(w.leaf.certificate) + pem(w.root.certificate), w.leaf.key);
    CHECK(gap.names == "CN=leaf");
    CHECK(contains(gap.findings, "the certificate of CN=intermediate, which issued CN=leaf, is not in the file"));
    const Identity published =
        identity({.common_name = "public", .issuer_url = "http://ca.example/inter.der"}, &w.intermediate);
    const Sent alone = sent(pem(published.certificate), published.key);
    CHECK(contains(alone.findings, "the intermediate certificate of CN=intermediate is missing"));
    CHECK(contains(alone.findings, "http://ca.example/inter.der"));
    CHECK(sent(pem(published.certificate) + pem(w.intermediate.certificate), published.key).findings.empty());
}

TEST_CASE("two certificates of one issuer are both sent: it is cross-signed") {
    World w;
    Identity crossed;
    crossed.key = std::move(w.intermediate.key);
    const support::Issuer by{w.stranger.certificate, w.stranger.key};
    crossed.certificate = certificate_for(crossed.key, {.common_name = "intermediate", .is_ca = true}, &by);
    const Sent both =
        sent(pem(w.leaf.certificate) + pem(w.intermediate.certificate) + pem(crossed.certificate), w.leaf.key);
    CHECK(both.names == "CN=leaf CN=intermediate CN=intermediate");
    CHECK(both.findings.empty());
}
