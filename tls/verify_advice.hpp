// What a refused certificate means, and what to do: one table, from OpenSSL's verification code to
// a sentence and a hint. It is used for what the client is told, the log and `pgairlock check`,
// and docs/troubleshooting.md shows it.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/verify_failure.hpp"

namespace tls {

/// What the server was held to.
struct Demanded {
    std::string name;     ///< the name or address that its certificate has to be for
    std::string anchors;  ///< "new-ca.pem, system": where the trust anchors are from
    /// A file of sslrootcert that verifies the chain where these anchors do not; empty: none is
    /// known.
    std::string elsewhere{};
    bool is_candidate = false;  ///< the anchors are those of sslrootcert_candidate
};

/// Sentences of people's language, each with its full stop. Either may be empty: nothing is
/// asserted that is not known.
struct Advice {
    std::string sentence;  ///< what is wrong
    std::string hint;      ///< what to do
};

/// `now`: what this host's clock says, for certificates that are not valid at this time.
Advice advise(const VerifyFailure& failure, const Demanded& demanded, std::chrono::system_clock::time_point now);

/// Of a fatal alert that a server sent: in the handshake, or with TLS 1.3 right after it.
/// `sent_name`: what was in our ClientHello as SNI; empty: nothing was. `client_certificate`: the
/// file of sslcert; empty: there is none.
Advice advise_alert(int alert, const std::string& sent_name, const std::string& client_certificate = {});

/// One row of the table. `{certificate}` and the like stand for what is there.
struct Cause {
    std::vector<int> codes;  ///< X509_V_ERR_...
    /// Which failures with these codes it is about; nullptr: all that no earlier row is about.
    bool (*when)(const VerifyFailure& failure, const Demanded& demanded);
    std::string_view sentence;
    std::string_view hint;
};
std::span<const Cause> causes();
/// The row that is about it; nullptr: none is.
const Cause* cause_of(const VerifyFailure& failure, const Demanded& demanded);

/// The same for alerts, by what of ours the server may mean.
struct AlertCause {
    enum class When { name_sent, no_name_sent, has_certificate, has_no_certificate };
    int alert;
    When when;
    std::string_view sentence;
    std::string_view hint;
};
std::span<const AlertCause> alert_causes();

}  // namespace tls
