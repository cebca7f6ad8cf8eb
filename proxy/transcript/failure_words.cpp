#include "proxy/transcript/failure_words.hpp"

#include <algorithm>

#include "proxy/observation/reason.hpp"

namespace proxy::transcript {
namespace {

struct Meaning {
    int alert;
    std::string_view words;
};

constexpr Meaning meanings[] = {
    {10, "the client met a message that it did not expect"},
    {20, "a record did not authenticate: something between the two changes bytes"},
    {22, "the client met a record that is too long: what it read may be no TLS"},
    {40, "client and proxy have no cipher, group or signature in common"},
    {42, "the client finds something wrong with the certificate"},
    {43, "the client does not support this kind of certificate"},
    {44, "the client says that the certificate is revoked"},
    {45, "the client says that the certificate is expired or not yet valid; its clock may be wrong"},
    {46, "the client refused the certificate without saying why; Java says so when it does not trust the CA"},
    {47, "the client found a field that is out of range"},
    {48, "the client does not trust the CA of the certificate that it was shown"},
    {49, "the client refused access by the certificate that it was shown"},
    {50, "the client could not decode a message"},
    {51, "a signature did not verify"},
    {70, "client and proxy have no TLS version in common"},
    {71, "the client wants stronger ciphers than it was offered"},
    {80, "the client failed for a reason of its own"},
    {86, "the client tried an older version than it could"},
    {90, "the client was told to stop"},
    {109, "the client misses an extension"},
    {112, "the client asked for a name that nobody has"},
    {116, "a certificate of the client was required"},
    {120, "client and proxy have no application protocol in common"},
};

std::string tls_words(const SessionFailure& failure, const FailureFacts& facts) {
    std::string words(alert_meaning(facts.alert));
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

std::string_view alert_meaning(int alert) noexcept {
    const auto* const found = std::find_if(std::begin(meanings), std::end(meanings),
                                           [&](const Meaning& meaning) { return meaning.alert == alert; });
    return found == std::end(meanings) ? std::string_view() : found->words;
}

std::string in_words(const SessionFailure& failure, const FailureFacts& facts) {
    if (failure.event == "tls_failed") return tls_words(failure, facts);
    if (failure.event == "upstream_failed") return server_words(failure, facts);
    std::string words = failure.event == "auth_failed" ? login_words(failure) : std::string();
    if (words.empty()) words = sentence_of(failure.reason);
    if (!facts.looks_like.empty()) words += "; what it sent looks like " + facts.looks_like;
    return words;
}

}  // namespace proxy::transcript
