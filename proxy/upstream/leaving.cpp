#include "proxy/upstream/leaving.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/utf8.hpp"
#include "tls/owned.hpp"

namespace proxy {
namespace {

/// What a server has to close its side after ours.
constexpr std::chrono::seconds leaving_time{2};
/// Of what it says in that time.
constexpr std::size_t max_heard = 64 * 1024;

void begin_to_leave(tls::Stream& stream) {
    stream.set_deadline(std::chrono::steady_clock::now() + leaving_time, tls::Deadline::linger);
    stream.close_send(true);
}

/// The CAs that a server names in its CertificateRequest.
std::string wanted_issuers(const SSL* ssl) {
    constexpr int most = 5;
    const STACK_OF(X509_NAME)* const names = SSL_get0_peer_CA_list(ssl);
    std::string all;
    for (int i = 0; i < std::min(sk_X509_NAME_num(names), most); ++i) {
        const tls::BioPtr bio(BIO_new(BIO_s_mem()));
        const X509_NAME* const name = sk_X509_NAME_value(names, i);
        if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) continue;
        char* text = nullptr;
        const long size = BIO_get_mem_data(bio.get(), &text);
        all += (all.empty() ? "\"" : ", \"") +
               protocol::as_utf8({text, static_cast<std::size_t>(size)}, protocol::max_peer_text) + "\"";
    }
    return sk_X509_NAME_num(names) > most ? all + " and others" : all;
}

LastWord refused_with(int alert, SSL* ssl) {
    const std::string said = "TLS alert " + tls::alert_text(alert);
    const bool has_shown_one = SSL_get_certificate(ssl) != nullptr;
    const std::string issuers = wanted_issuers(ssl);
    LastWord word{.refusal = has_shown_one ? "server refused our client certificate (sslcert): " + said
                                           : "server refused us without a client certificate: " + said,
                  .advice = {}};
    word.advice.hint = "set sslcert and sslkey to a certificate that the server accepts";
    if (!issuers.empty()) word.advice.hint += "; it asks for one by " + issuers;
    return word;
}

/// A reset may have overtaken an alert. Whoever keeps the connection has refused nobody yet.
LastWord not_known(tls::StreamError::Kind why, const SSL* ssl) {
    const bool has_shown_one = SSL_get_certificate(ssl) != nullptr;
    const std::string question =
        std::string("it is not known whether the server takes ") +
        (has_shown_one ? "our client certificate (sslcert)" : "us without a client certificate") +
        ": it asked for one, and ";
    if (why == tls::StreamError::Kind::timed_out)
        return {
            .refusal = {},
            .advice = {},
            .doubt = question + "said nothing for " + std::to_string(leaving_time.count()) + " s after we had left"};
    LastWord word{.refusal = question + "broke the connection off without a word", .advice = {}};
    word.advice.hint = "the server's log says why";
    return word;
}

}  // namespace

tls::Awaitable<> leave(tls::Stream& stream) {
    begin_to_leave(stream);
    try {
        co_await stream.ignore_rest();
    } catch (const tls::StreamError&) {
        // It has answered, and that is what was asked.
    }
}

tls::Awaitable<LastWord> leave_listening(tls::Stream& stream) {
    const bool asked = may_have_refused(stream);
    std::optional<tls::StreamError::Kind> broken;
    begin_to_leave(stream);
    try {
        std::array<std::uint8_t, 1024> ignored{};
        std::size_t n = 0;
        for (std::size_t heard = 0; heard < max_heard; heard += n) {
            n = co_await stream.read_some(ignored);
            if (n == 0) break;
        }
    } catch (const tls::StreamError& error) {
        broken = error.kind();  // an alert is among the notes
    }
    if (!asked) co_return LastWord{};
    if (stream.notes().alert >= 0) co_return refused_with(stream.notes().alert, stream.ssl());
    if (broken) co_return not_known(*broken, stream.ssl());
    co_return LastWord{};
}

bool may_have_refused(const tls::Stream& stream) noexcept {
    SSL* const ssl = stream.ssl();
    // A CertificateRequest comes with the signatures that its sender takes.
    return ssl != nullptr && SSL_version(ssl) >= TLS1_3_VERSION &&
           SSL_get_sigalgs(ssl, -1, nullptr, nullptr, nullptr, nullptr, nullptr) > 0;
}

}  // namespace proxy
