#include "bench/target/authentication.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

#include "tls/scram_crypto.hpp"

namespace bench {
namespace {

using protocol::AuthenticationCode;
using protocol::Buffer;
using protocol::Bytes;

std::string md5_hex(std::string_view text, Bytes more) {
    std::string data(text);
    data.append(protocol::as_text(more));
    std::array<unsigned char, 16> digest{};
    if (EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_md5(), nullptr) != 1)
        throw std::runtime_error("OpenSSL refuses MD5");
    std::string hex;
    for (const unsigned char byte : digest) {
        hex += "0123456789abcdef"[byte >> 4];
        hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
}

}  // namespace

Buffer Authentication::answer(Bytes body) {
    protocol::Reader reader(body);
    const auto code = static_cast<AuthenticationCode>(reader.u32());
    if (!reader.ok() || done_) throw std::runtime_error("unexpected Authentication message");
    // A server that began with SCRAM has to prove that it knows the password; it may not ask for it
    // instead.
    const bool in_scram = scram_.has_value();
    switch (code) {
        case AuthenticationCode::ok:
            if (in_scram && !server_proved_)
                throw std::runtime_error("the server did not prove that it knows the password");
            done_ = true;
            return {};
        case AuthenticationCode::cleartext_password:
            if (in_scram) break;
            return password_message(target_.password);
        case AuthenticationCode::md5_password:
            if (in_scram) break;
            return md5(reader.rest());
        case AuthenticationCode::sasl:
            if (in_scram) break;
            return begin_scram(body);
        case AuthenticationCode::sasl_continue:
            if (!in_scram) break;
            return continue_scram(protocol::as_text(reader.rest()));
        case AuthenticationCode::sasl_final:
            server_proved_ = in_scram && scram_->server_final(protocol::as_text(reader.rest()));
            if (!server_proved_) throw std::runtime_error("the server did not prove that it knows the password");
            return {};
        default: break;
    }
    throw std::runtime_error("the server asks for authentication method " +
                             std::to_string(static_cast<std::uint32_t>(code)) +
                             ", which is not supported here: trust, password, md5 and SCRAM-SHA-256 are");
}

Buffer Authentication::password_message(std::string_view text) const {
    require_password();
    Buffer out;
    protocol::Writer writer(out);
    writer.u8('p');
    const std::size_t length = writer.begin_length();
    writer.cstring(text);
    writer.end_length(length);
    return out;
}

/// PostgreSQL docs, "Message Flow", AuthenticationMD5Password.
Buffer Authentication::md5(Bytes salt) const {
    return password_message("md5" + md5_hex(md5_hex(target_.password, protocol::as_bytes(target_.user)), salt));
}

Buffer Authentication::begin_scram(Bytes body) {
    const auto offer = protocol::parse_authentication_sasl(body);
    if (!offer || !offer->offers(protocol::scram_sha_256))
        throw std::runtime_error("the server does not offer SCRAM-SHA-256");
    require_password();
    // No channel binding, gs2 flag 'n': the same work against a server and against a proxy, which
    // could not pass a bound channel on.
    scram_.emplace(tls::scram_crypto(), Buffer());
    Buffer out;
    protocol::append_sasl_initial_response(out, scram_->mechanism(), scram_->first_message());
    return out;
}

Buffer Authentication::continue_scram(std::string_view data) {
    protocol::ScramSalt salt;
    const protocol::Fault fault = scram_->server_first(data, salt);
    if (fault != protocol::Fault::none) throw std::runtime_error(std::string(protocol::message(fault)));
    // Derived anew for every connection, as clients do: about a millisecond that belongs to the
    // price of SCRAM.
    const protocol::ScramKey salted = tls::salted_password(protocol::as_bytes(target_.password), salt);
    Buffer out;
    protocol::append_sasl_response(out, scram_->final_message(protocol::scram_keys(tls::scram_crypto(), salted)));
    return out;
}

void Authentication::require_password() const {
    if (!target_.password.empty()) return;
    constexpr std::string_view usual = "password=... in the conninfo, or PGPASSWORD";
    throw std::runtime_error("the server asks for a password: " +
                             std::string(password_places_.empty() ? usual : password_places_));
}

}  // namespace bench
