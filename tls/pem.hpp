// The one reader of PEM files: certificates, keys and CRLs with their lines, and what is wrong with
// the file. Pure: bytes in, objects out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "tls/owned.hpp"
#include "tls/pem_blocks.hpp"

namespace tls {

struct PemCertificate {
    X509Ptr certificate;
    int line = 0;
};

struct PemCrl {
    CrlPtr crl;
    int line = 0;
};

struct PemContents {
    std::vector<PemCertificate> certificates;  ///< also BEGIN TRUSTED CERTIFICATE, with its trust settings
    std::vector<PemBlock> keys;                ///< still closed: see open_key
    std::vector<PemCrl> crls;
    std::vector<PemBlock> others;      ///< PKCS #7, certificate requests, parameters
    std::vector<PemFinding> skipped;   ///< see PemBlocks
    std::optional<PemFinding> broken;  ///< libpq takes nothing of such a file
};

/// The result refers to `file`.
PemContents read_pem(protocol::Bytes file);

/// A key needs its pass phrase.
bool is_encrypted(const PemBlock& key);

/// PKCS #8, PKCS #1, SEC 1 and what else OpenSSL knows. nullptr: it is broken, or of another pass
/// phrase; `why` says so. `pass_phrase` is not used for one that is not encrypted.
KeyPtr open_key(const PemBlock& key, std::string_view pass_phrase, std::string& why);

/// What a file is that holds nothing of PEM: "is in DER form: convert it with openssl ...", with
/// the command for exactly this file. Starts with a verb.
enum class PemWanted { certificate, private_key, revocation_list };
std::string why_no_pem(protocol::Bytes file, const std::string& path, PemWanted wanted);

/// The same for one that is PEM, but holds nothing of what is wanted.
std::string why_none(const PemContents& contents, const std::string& path, PemWanted wanted);

/// A key in DER form, as libpq takes it (sslkey). nullptr: it is none.
KeyPtr open_der_key(protocol::Bytes file);

}  // namespace tls
