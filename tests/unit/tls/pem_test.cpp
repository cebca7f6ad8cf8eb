#include "tls/pem.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <set>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"

namespace {

using namespace support;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

std::string utf16(const std::string& text) {
    std::string wide = "\xff\xfe";
    for (const char c : text) wide += std::string(1, c) + '\0';
    return wide;
}

std::string in_one_line(const std::string& pem) {
    const std::size_t first = pem.find('\n') + 1, last = pem.rfind("\n-----END") + 1;
    return pem.substr(0, first) + replaced(pem.substr(first, last - first), "\n", "") + "\n" + pem.substr(last);
}

/// What OpenSSL makes of the file where libpq has it read: SSL_CTX_load_verify_locations. -1: it
/// refuses the file.
int loaded_by_openssl(const config::File& file) {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    const bool ok = SSL_CTX_load_verify_locations(context, file.path.c_str(), nullptr) == 1;
    STACK_OF(X509)* const all = X509_STORE_get1_all_certs(SSL_CTX_get_cert_store(context));
    const int count = sk_X509_num(all);
    sk_X509_pop_free(all, X509_free);
    SSL_CTX_free(context);
    ERR_clear_error();
    return ok ? count : -1;
}

struct Shape {
    std::string name;
    std::string file;
    int certificates;  ///< that we read; -1: the file is refused
    std::string said;  ///< findings and faults, each with its line; empty: nothing
};

std::vector<Shape> shapes() {
    const X509Ptr first = certificate_for(new_key(), {.common_name = "old root", .is_ca = true});
    const X509Ptr second = certificate_for(new_key(), {.common_name = "new root", .is_ca = true});
    const std::string a = pem(first), b = pem(second), both = a + b;
    const std::string at = "line " + std::to_string(1 + std::count(a.begin(), a.end(), '\n')) + ": ";
    const std::string bom = "\xef\xbb\xbf", key = pem(new_key());
    const std::string begin = "-----BEGIN CERTIFICATE-----", end = "-----END CERTIFICATE-----";
    const std::string body = replaced(replaced(b, begin + "\n", ""), end + "\n", "");
    const auto passed_over = [&](const std::string& why) { return at + "is passed over: " + why; };
    return {
        {"plain", both, 2, ""},
        {"CRLF", replaced(both, "\n", "\r\n"), 2, ""},
        {"a byte order mark at the start", bom + both, 2, ""},
        {"a byte order mark in the middle", a + bom + b, 2, ""},
        {"trailing blanks", replaced(both, "-----\n", "-----  \t\n"), 2, ""},
        {"base64 in one line", in_one_line(a) + in_one_line(b), 2, ""},
        {"no line break at the end", both.substr(0, both.size() - 1), 2, ""},
        {"empty lines", replaced(both, "-----\n", "-----\n\n"), 2, ""},
        {"comments", "# BEGIN CERTIFICATE of Amazon\nsubject: x\n" + a + "some text ----- here\n" + b + "end\n", 2, ""},
        {"a certificate that is commented out", a + "# " + replaced(b, "\n", "\n# ") + "\n" + b, 2, ""},
        {"a key between", a + key + b, 2, ""},
        {"the same one twice", both + a, 2, ""},
        {"TRUSTED CERTIFICATE", a + pem_trusted(second), 2, ""},
        {"TRUSTED CERTIFICATE alone", pem_trusted(first) + pem_trusted(second), 2, ""},
        {"X509 CERTIFICATE", a + replaced(b, "CERTIFICATE", "X509 CERTIFICATE"), 2, ""},
        {"the second indented", a + "  " + replaced(b, "\n", "\n  ") + "\n", 1, passed_over("the line is indented")},
        {"all indented", "    " + replaced(both, "\n", "\n    "), 0, "line 1: is passed over: the line is indented"},
        {"quoted", a + '"' + b.substr(0, b.size() - 1) + "\"\n", 1,
         passed_over("the line begins with a quotation mark")},
        {"four dashes", a + b.substr(1), 1, passed_over("4 dashes stand before BEGIN, not five")},
        {"six dashes", a + "-" + b, 1, passed_over("6 dashes stand before BEGIN, not five")},
        {"four dashes behind", a + replaced(b, begin, begin.substr(0, begin.size() - 1)), 1,
         passed_over("4 dashes stand at its end, not five")},
        {"dashes of a word processor", a + replaced(b, "-----BEGIN", "\xe2\x80\x93\xe2\x80\x93-BEGIN"), 1,
         passed_over("something else than five dashes stands before BEGIN")},
        {"in small letters", a + replaced(b, begin, "-----begin certificate-----"), 1,
         passed_over("the line is not exactly as in -----BEGIN CERTIFICATE-----")},
        {"line breaks as \\n", replaced(both, "\n", "\\n"), 0,
         "line 1: is passed over: its line breaks are written as \\n"},
        {"a JSON string behind", a + "{\"ca\": \"" + replaced(b, "\n", "\\n") + "\"}\n", 1,
         passed_over("its line breaks are written as \\n")},
        {"carriage returns alone", replaced(both, "\n", "\r"), 0,
         "line 1: is passed over: its lines end with carriage returns alone"},
        {"a BEGIN line lost", a + body + end + "\n", 1, passed_over("base64 without a BEGIN line before it")},
        {"an END line alone", a + end + "\n", 1, at + "an END line without its BEGIN line"},
        {"UTF-16", utf16(both), 0, "line 1: is passed over: it is no text, or text in UTF-16"},
        {"UTF-16 appended", a + utf16(b), 1, passed_over("it is no text, or text in UTF-16")},
        {"DER appended", a + pem_of([&](BIO* bio) { return i2d_X509_bio(bio, second.get()); }), 1,
         passed_over("it is no text, or text in UTF-16")},
        {"HTML", "<!DOCTYPE html>\n<html><body>Moved</body></html>\n", 0, ""},
        {"nothing", "", 0, ""},
        {"no line break between", a.substr(0, a.size() - 1) + b, -1,
         "line 1: the line break between its END and the next BEGIN is missing (line " +
             std::to_string(std::count(a.begin(), a.end(), '\n')) + ")"},
        {"cut in the base64", a + b.substr(0, 200), -1, at + "the file ends within it: it was cut off"},
        {"cut after the BEGIN line", a + begin + "\n", -1, at + "the file ends within it: it was cut off"},
        {"cut in the END line", both.substr(0, both.size() - 10), -1,
         at + "its END line is not exactly -----END CERTIFICATE----- (line " +
             std::to_string(std::count(both.begin(), both.end(), '\n')) + ")"},
        {"an END line lost", replaced(a, end + "\n", "") + b, 1,
         "line " + std::to_string(std::count(a.begin(), a.end(), '\n')) +
             ": is passed over: the block before it (line 1) has no END line"},
        {"another END line", a + replaced(b, end, "-----END X509 CRL-----"), -1,
         at + "its END line is not exactly -----END CERTIFICATE-----"},
        {"a letter that base64 has not", std::string(both).replace(a.size() + 60, 1, "!"), -1,
         at + "its contents are broken: bad base64 decode"},
        {"other bytes", std::string(both).replace(a.size() + 32, 8, "AAAAAAAA"), -1,
         at + "certificate 2 of the file is broken"},
    };
}

}  // namespace

TEST_CASE("each shape of a bundle is read as OpenSSL reads it for libpq, and what it passes over is said") {
    const TemporaryFolder folder;
    for (const Shape& shape : shapes()) {
        INFO(shape.name);
        const tls::PemContents contents = tls::read_pem(protocol::as_bytes(shape.file));
        CHECK(ERR_peek_error() == 0);
        std::set<std::string> different;
        for (const tls::PemCertificate& one : contents.certificates) different.insert(pem(one.certificate));
        const int read = contents.broken ? -1 : static_cast<int>(different.size());
        CHECK(read == shape.certificates);
        // A file without any is one that OpenSSL refuses as well.
        CHECK(loaded_by_openssl(folder.write("bundle", shape.file)) == (read == 0 ? -1 : read));
        std::string said;
        for (const tls::PemFinding& finding : contents.skipped) said += tls::to_string(finding);
        if (contents.broken) said += tls::to_string(*contents.broken);
        if (shape.said.empty()) {
            CHECK(said.empty());
        } else {
            CHECK(said.rfind(shape.said, 0) == 0);
            INFO(said);
            CHECK(std::count(said.begin(), said.end(), '\n') == 0);
        }
        if (read < 2 && !shape.file.empty() && shape.name != "HTML") CHECK(!said.empty());
    }
}

TEST_CASE("trust settings of a TRUSTED CERTIFICATE are kept") {
    const X509Ptr root = certificate_for(new_key(), {.common_name = "root", .is_ca = true});
    X509_add1_reject_object(root.get(), OBJ_nid2obj(NID_server_auth));
    const std::string file = pem_trusted(root);
    const tls::PemContents contents = tls::read_pem(protocol::as_bytes(file));
    REQUIRE(contents.certificates.size() == 1);
    CHECK(X509_check_trust(contents.certificates[0].certificate.get(), X509_TRUST_SSL_SERVER, 0) ==
          X509_TRUST_REJECTED);
}

TEST_CASE("bytes behind a certificate in its block are no reason to refuse it, as to OpenSSL") {
    const X509Ptr root = certificate_for(new_key(), {.common_name = "root", .is_ca = true});
    unsigned char* der = nullptr;
    const int size = i2d_X509(root.get(), &der);
    std::string more(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    more += "more";
    const std::string file = pem_of([&](BIO* bio) {
        return PEM_write_bio(bio, PEM_STRING_X509, "", reinterpret_cast<const unsigned char*>(more.data()),
                             static_cast<long>(more.size()));
    });
    const TemporaryFolder folder;
    CHECK(loaded_by_openssl(folder.write("bundle", file)) == 1);
    CHECK(tls::read_pem(protocol::as_bytes(file)).certificates.size() == 1);
}

TEST_CASE("what a file holds comes with its line") {
    const X509Ptr root = certificate_for(new_key());
    const std::string file = "# a\n\n" + pem(new_key()) + pem(root) +
                             "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n" + "-----END EC PARAMETERS-----\n";
    const tls::PemContents contents = tls::read_pem(protocol::as_bytes(file));
    REQUIRE(contents.keys.size() == 1);
    CHECK(contents.keys[0].line == 3);
    CHECK(protocol::as_text(contents.keys[0].text).substr(0, 27) == "-----BEGIN PRIVATE KEY-----");
    REQUIRE(contents.certificates.size() == 1);
    CHECK(contents.certificates[0].line == 8);
    REQUIRE(contents.others.size() == 1);
    CHECK(contents.others[0].label == "EC PARAMETERS");
}

TEST_CASE("what is no PEM is named, with the command that makes PEM of it") {
    const KeyPtr key = new_key();
    const X509Ptr root = certificate_for(key);
    const auto why = [](const std::string& file) {
        return tls::why_no_pem(protocol::as_bytes(file), "/etc/a 'b.crt", tls::PemWanted::certificate);
    };
    const std::string in = " -in '/etc/a '\\''b.crt' -out '/etc/a '\\''b.crt.pem'";
    const std::string der = pem_of([&](BIO* bio) { return i2d_X509_bio(bio, root.get()); });
    CHECK(contains(why(der), "it is a certificate in DER form: convert it with openssl x509 -inform DER" + in));
    const std::string der_key = pem_of([&](BIO* bio) { return i2d_PrivateKey_bio(bio, key.get()); });
    CHECK(contains(why(der_key), "it is a private key in DER form: convert it with openssl pkey -inform DER" + in));
    CHECK(contains(why(""), "it is empty"));
    CHECK(contains(why(" \r\n\r\n"), "it is empty"));
    CHECK(contains(why("<HTML>Moved"), "it is an HTML page"));
    CHECK(contains(why(utf16(pem(root))), "convert it with iconv -f UTF-16 -t UTF-8"));
    CHECK(contains(why(replaced(pem(root), "\n", "\r")), "convert it with tr '\\r' '\\n'"));
    CHECK(contains(why(replaced(pem(root), "\n", "\\n")), "convert it with sed 's/\\\\n/\\n/g'"));
    CHECK(why("hello\n") == "holds no certificate in PEM format (-----BEGIN CERTIFICATE-----)");
    CHECK(ERR_peek_error() == 0);
}
