#include "tls/verify_advice.hpp"

#include <fstream>
#include <set>
#include <sstream>

#include "support/catch.hpp"
#include "tls/handshake.hpp"

namespace {

using namespace std::chrono_literals;
using tls::Demanded;
using tls::VerifyFailure;
using IssuerAnchor = VerifyFailure::IssuerAnchor;

const std::chrono::system_clock::time_point some_day{std::chrono::days{20'000}};  // 2024-10-04

std::string troubleshooting() {
    std::ifstream file(std::string(DOCS) + "/troubleshooting.md");
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

VerifyFailure failure(int code) {
    VerifyFailure made{.code = code,
                       .reason = X509_verify_cert_error_string(code),
                       .certificate = "CN=at fault",
                       .issuer = "CN=its issuer",
                       .not_before = some_day - 24h,
                       .not_after = some_day + 24h,
                       .key = "RSA, 1024 bits",
                       .signature = "sha1WithRSAEncryption"};
    made.leaf.subject = "CN=leaf";
    made.leaf.sans = {"DNS:db.example.com"};
    made.leaf.sha256 = "ab12";
    made.common_name = "leaf";
    made.sent = {"CN=leaf", "CN=at fault"};
    made.security_level = 2;
    return made;
}

const Demanded by_name{.name = "db.internal", .anchors = "ca.pem"};

/// Everything by which the table tells failures of one code apart.
std::vector<std::pair<VerifyFailure, Demanded>> shapes(int code) {
    std::vector<std::pair<VerifyFailure, Demanded>> all;
    for (unsigned bits = 0; bits < 3 * 32; ++bits) {
        VerifyFailure one = failure(code);
        one.issuer_anchor = static_cast<IssuerAnchor>(bits / 32);
        if (bits & 1) one.depth = 1;
        if (bits & 2) one.is_anchor = true;
        if (bits & 4) one.sent.pop_back();
        if (bits & 8) one.leaf.sans.clear();
        if (bits & 8 && bits & 4) one.common_name.clear();
        all.emplace_back(one, Demanded{.name = bits & 16 ? "10.0.0.1" : "db.internal", .anchors = "ca.pem"});
    }
    return all;
}

}  // namespace

TEST_CASE("every cause of a refused certificate stands in docs/troubleshooting.md, in the table's order") {
    const std::string page = troubleshooting();
    std::size_t at = 0;
    for (const tls::Cause& cause : tls::causes()) {
        std::string reasons;
        for (const int code : cause.codes) {
            if (!reasons.empty()) reasons += "; ";
            reasons += X509_verify_cert_error_string(code);
        }
        const std::string row =
            "\n| " + reasons + " | " + std::string(cause.sentence) + " | " + std::string(cause.hint) + " |\n";
        CAPTURE(row);
        const std::size_t found = page.find(row, at);
        REQUIRE(found != std::string::npos);
        at = found;
    }
    for (const tls::AlertCause& cause : tls::alert_causes()) {
        const std::string row = "\n| " + tls::alert_text(cause.alert) + " | " + std::string(cause.sentence) + " | " +
                                std::string(cause.hint) + " |\n";
        CAPTURE(row);
        CHECK(page.find(row) != std::string::npos);
    }
}

TEST_CASE("every row is about some failure, and leaves no word in braces") {
    for (const tls::Cause& row : tls::causes()) {
        CAPTURE(row.sentence);
        bool met = false;
        for (const int code : row.codes) {
            for (const auto& [one, demanded] : shapes(code)) {
                met = met || tls::cause_of(one, demanded) == &row;
                const tls::Advice advice = tls::advise(one, demanded, some_day);
                CHECK_FALSE(advice.sentence.empty());
                CHECK((advice.sentence + advice.hint).find_first_of("{}") == std::string::npos);
                CHECK(advice.sentence.ends_with('.'));
                CHECK(advice.hint.ends_with('.'));
            }
        }
        CHECK(met);
    }
}

TEST_CASE("of a code that is not in the table nothing is asserted") {
    for (const int code :
         {X509_V_OK, X509_V_ERR_UNSPECIFIED, X509_V_ERR_OUT_OF_MEM, X509_V_ERR_INVALID_POLICY_EXTENSION,
          X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, X509_V_ERR_APPLICATION_VERIFICATION, 9999}) {
        CAPTURE(code);
        CHECK(tls::cause_of(failure(code), by_name) == nullptr);
        const tls::Advice advice = tls::advise(failure(code), by_name, some_day);
        CHECK(advice.sentence.empty());
        CHECK(advice.hint.empty());
    }
}

TEST_CASE("a certificate that is not yet valid is told with its first moment and this host's clock") {
    VerifyFailure early = failure(X509_V_ERR_CERT_NOT_YET_VALID);
    early.not_before = some_day + 48h;
    const tls::Advice advice = tls::advise(early, by_name, some_day);
    CHECK(advice.sentence ==
          "\"CN=at fault\" is valid from 2024-10-06T00:00:00Z, and this host's clock says 2024-10-04T00:00:00Z.");
    CHECK(advice.hint.find("clock") != std::string::npos);
}

TEST_CASE("which certificate has expired decides what is to be renewed") {
    VerifyFailure expired = failure(X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(tls::advise(expired, by_name, some_day).hint.starts_with("Renew the server's certificate"));
    expired.depth = 1;
    CHECK(tls::advise(expired, by_name, some_day).sentence.find("which the server sent") != std::string::npos);
    expired.is_anchor = true;
    CHECK(tls::advise(expired, by_name, some_day).sentence.starts_with("\"CN=at fault\" of ca.pem expired"));
}

TEST_CASE("an unknown issuer of a certificate sent alone may be a root or an intermediate: both are named") {
    VerifyFailure unknown = failure(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    unknown.sent = {"CN=leaf"};
    const tls::Advice advice = tls::advise(unknown, by_name, some_day);
    CHECK(advice.hint.find("is a root, add") != std::string::npos);
    CHECK(advice.hint.find("is an intermediate, the server should send it") != std::string::npos);
}

TEST_CASE("where another configured file verifies the chain, nobody is told to add what is there") {
    for (const int code : {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
                           X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}) {
        CAPTURE(code);
        Demanded demanded{.name = "db.internal", .anchors = "new.pem", .elsewhere = "old.pem"};
        const tls::Advice alone = tls::advise(failure(code), demanded, some_day);
        CHECK(alone.hint.starts_with("old.pem, also configured, verifies this chain."));
        CHECK(alone.hint.find("add its certificate") == std::string::npos);
        CHECK(alone.sentence.find("new.pem") != std::string::npos);
        demanded.is_candidate = true;
        const tls::Advice candidate = tls::advise(failure(code), demanded, some_day);
        CHECK(candidate.hint.starts_with("old.pem, also configured, verifies this chain. If the server has not moved"));
        CHECK(candidate.hint.find("If it has moved, the candidate lacks that authority.") != std::string::npos);
    }
    // A name is wrong whatever the anchors are.
    const Demanded demanded{.name = "db.internal", .anchors = "new.pem", .elsewhere = "old.pem"};
    CHECK(tls::advise(failure(X509_V_ERR_HOSTNAME_MISMATCH), demanded, some_day).hint ==
          tls::advise(failure(X509_V_ERR_HOSTNAME_MISMATCH), by_name, some_day).hint);
}

TEST_CASE("what a certificate holds is not taken for a word of the table") {
    VerifyFailure odd = failure(X509_V_ERR_CERT_HAS_EXPIRED);
    odd.depth = 1;
    odd.certificate = "CN={issuer} {no such} {";
    CHECK(tls::advise(odd, by_name, some_day).sentence.starts_with("\"CN={issuer} {no such} {\", which"));
}

TEST_CASE("an alert about the name says which was sent, or that none was; others say nothing") {
    CHECK(tls::advise_alert(SSL_AD_UNRECOGNIZED_NAME, "db.internal").sentence.find("\"db.internal\"") !=
          std::string::npos);
    CHECK(tls::advise_alert(SSL_AD_UNRECOGNIZED_NAME, "").sentence.find("none was sent") != std::string::npos);
    for (const int alert : {-1, SSL_AD_CLOSE_NOTIFY, SSL_AD_HANDSHAKE_FAILURE, SSL_AD_UNKNOWN_CA})
        CHECK(tls::advise_alert(alert, "db.internal").sentence.empty());
}

TEST_CASE("an alert about a certificate is about ours: its file is named, or that none is set") {
    for (const int alert : {SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
                            SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA}) {
        CAPTURE(alert);
        const tls::Advice advice = tls::advise_alert(alert, "db.internal", "app.crt");
        CHECK(advice.sentence == "The server refuses the client certificate app.crt (sslcert).");
        CHECK(advice.hint.find("sslcert") != std::string::npos);
        CHECK(tls::advise_alert(alert, "db.internal", "").sentence.empty());
    }
    CHECK(tls::advise_alert(SSL_AD_CERTIFICATE_REQUIRED, "").hint == "Set sslcert and sslkey.");
    CHECK(tls::advise_alert(SSL_AD_CERTIFICATE_REQUIRED, "", "app.crt").sentence.find("did not get app.crt") !=
          std::string::npos);
    CHECK(tls::advise_alert(SSL_AD_HANDSHAKE_FAILURE, "", "app.crt").sentence.empty());
}
