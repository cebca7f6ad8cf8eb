#include "proxy/transcript/failure_words.hpp"

#include "protocol/alert_meaning.hpp"
#include "proxy/observation/reason.hpp"

namespace proxy::transcript {
namespace {

std::string tls_words(const SessionFailure& failure, const FailureFacts& facts) {
    std::string words(protocol::alert_meaning(facts.alert));
    if (words.empty() && failure.reason == "tls_abandoned") {
        words =
            facts.certificate_shown
                ? "the client closed the connection once it had seen the certificate: many drivers refuse one like that"
                : "the client closed the connection before it had seen a certificate";
    }
    if (words.empty()) words = "the TLS handshake with the client failed";
    if (!facts.probe.empty()) words += "; it was shown a probe's certificate (" + facts.probe + ")";
    return words;
}

std::string server_words(const SessionFailure& failure, const FailureFacts& facts) {
    if (!facts.verify_error.empty())
        return "the server's certificate was refused: " + facts.verify_error + "; see sslrootcert and the names in it";
    if (failure.reason == "server_not_reached") return "no address of the server could be reached";
    if (failure.reason == "server_not_accepted") return "the server offers no TLS that sslmode accepts";
    if (failure.reason == "server_left") return "the server closed the connection during the login";
    return "there is no connection to the server that sslmode accepts";
}

std::string login_words(const SessionFailure& failure) {
    if (failure.reason == "client_left")
        return "the client left during the login: it had no password, requires channel binding, or was in a hurry";
    if (failure.sqlstate == "28P01") return "wrong password, no such user, or expired";
    if (failure.sqlstate == "28000") return "this user may not log in like that (pg_hba.conf, or TLS is required)";
    if (failure.sqlstate == "3D000") return "there is no such database";
    if (failure.sqlstate == "53300") return "the server has no free connection";
    if (failure.sqlstate == "57P03") return "the server is starting, stopping or recovering";
    return {};
}

/// As the table of reasons has it; empty: it is not in there.
std::string sentence_of(std::string_view reason_label) {
    for (std::size_t i = 1; i < reasons; ++i) {
        const auto reason = static_cast<Reason>(i);
        if (label(reason) == reason_label) return std::string(sentence(reason));
    }
    return {};
}

}  // namespace

std::string in_words(const SessionFailure& failure, const FailureFacts& facts) {
    if (failure.event == "tls_failed") return tls_words(failure, facts);
    if (failure.event == "upstream_failed") return server_words(failure, facts);
    std::string words = failure.event == "auth_failed" ? login_words(failure) : std::string();
    if (words.empty()) words = sentence_of(failure.reason);
    if (!facts.looks_like.empty()) words += "; what it sent looks like " + facts.looks_like;
    return words;
}

}  // namespace proxy::transcript
