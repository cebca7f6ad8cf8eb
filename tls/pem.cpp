#include "tls/pem.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "tls/certificates.hpp"

namespace tls {
namespace {

BioPtr reader_of(const PemBlock& block) {
    BioPtr bio(BIO_new_mem_buf(block.text.data(), static_cast<int>(block.text.size())));
    if (!bio) throw std::bad_alloc();
    return bio;
}

/// In place of OpenSSL's default, which asks on the terminal and would stop the program there.
int no_pass_phrase(char*, int, int, void*) { return -1; }

int give_pass_phrase(char* buffer, int size, int, void* given) {
    const auto& text = *static_cast<const std::string_view*>(given);
    if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;
    std::memcpy(buffer, text.data(), text.size());
    return static_cast<int>(text.size());
}

bool is_certificate(const std::string& label) {
    return label == PEM_STRING_X509 || label == PEM_STRING_X509_OLD || label == PEM_STRING_X509_TRUSTED;
}

}  // namespace

PemContents read_pem(protocol::Bytes file) {
    PemBlocks blocks = divide(file);
    PemContents contents;
    contents.skipped = std::move(blocks.skipped);
    contents.broken = std::move(blocks.broken);
    for (PemBlock& block : blocks.blocks) {
        const auto refuse = [&](const std::string& what) {
            contents.broken = {block.line, what + " is broken: " + take_openssl_error("unreadable")};
        };
        ERR_clear_error();
        if (is_certificate(block.label)) {
            // Only what calls itself trusted has more behind the certificate: of others OpenSSL
            // does not look at that, and so libpq does not.
            const auto read_one = block.label == PEM_STRING_X509_TRUSTED ? PEM_read_bio_X509_AUX : PEM_read_bio_X509;
            X509Ptr read(read_one(reader_of(block).get(), nullptr, no_pass_phrase, nullptr));
            if (!read) {
                refuse("certificate " + std::to_string(contents.certificates.size() + 1) + " of the file");
                break;
            }
            contents.certificates.push_back({std::move(read), block.line});
        } else if (block.label == PEM_STRING_X509_CRL) {
            CrlPtr read(PEM_read_bio_X509_CRL(reader_of(block).get(), nullptr, no_pass_phrase, nullptr));
            if (!read) {
                refuse("CRL " + std::to_string(contents.crls.size() + 1) + " of the file");
                break;
            }
            contents.crls.push_back({std::move(read), block.line});
        } else {
            const bool is_key = block.label.ends_with("PRIVATE KEY");
            (is_key ? contents.keys : contents.others).push_back(std::move(block));
        }
    }
    return contents;
}

bool is_encrypted(const PemBlock& key) {
    return key.label == PEM_STRING_PKCS8 ||
           protocol::as_text(key.text).find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

KeyPtr open_key(const PemBlock& key, std::string_view pass_phrase, std::string& why) {
    ERR_clear_error();
    KeyPtr opened(PEM_read_bio_PrivateKey(reader_of(key).get(), nullptr, give_pass_phrase, &pass_phrase));
    why = take_openssl_error("not a private key");
    if (!opened && is_encrypted(key)) why = "the pass phrase does not open it: " + why;
    return opened;
}

KeyPtr open_der_key(protocol::Bytes file) {
    const unsigned char* at = file.data();
    KeyPtr key(file.empty() ? nullptr : d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(file.size())));
    ERR_clear_error();
    return key;
}

}  // namespace tls
