// What people have instead of a PEM file, and the command that makes one of it.
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <string_view>

#include "tls/pem.hpp"

namespace tls {
namespace {

/// Whether the whole of `file` is one object in DER form.
template <class T, class Parse>
bool is_der(Parse parse, protocol::Bytes file) {
    const unsigned char* at = file.data();
    const Owned<T> object(parse(nullptr, &at, static_cast<long>(file.size())));
    ERR_clear_error();
    return object != nullptr;
}

/// In single quotes, as a shell takes it.
std::string in_shell(const std::string& path) {
    std::string quoted = "'";
    for (const char c : path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

std::string command(const std::string& what, const std::string& path, const std::string& ending) {
    return "convert it with " + what + " -in " + in_shell(path) + " -out " + in_shell(path + ending);
}

std::string why_der(protocol::Bytes file, const std::string& path) {
    if (is_der<X509>(d2i_X509, file))
        return "is a certificate in DER form: " + command("openssl x509 -inform DER", path, ".pem");
    if (is_der<X509_CRL>(d2i_X509_CRL, file))
        return "is a CRL in DER form: " + command("openssl crl -inform DER", path, ".pem");
    if (is_der<PKCS7>(d2i_PKCS7, file))
        return "is PKCS #7 in DER form: " + command("openssl pkcs7 -inform DER -print_certs", path, ".pem");
    if (is_der<PKCS12>(d2i_PKCS12, file))
        return "is PKCS #12: take certificates and key out of it with openssl pkcs12 -nodes -in " + in_shell(path);
    if (open_der_key(file)) return "is a private key in DER form: " + command("openssl pkey -inform DER", path, ".pem");
    return {};
}

bool is_html(std::string_view text) {
    std::string start(text.substr(0, 1024));
    std::transform(start.begin(), start.end(), start.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return start.find("<!doctype") != std::string::npos || start.find("<html") != std::string::npos;
}

const char* label_of(PemWanted wanted) {
    switch (wanted) {
        case PemWanted::certificate: return "certificate in PEM format (-----BEGIN CERTIFICATE-----)";
        case PemWanted::private_key: return "usable private key in PEM format (-----BEGIN PRIVATE KEY-----)";
        case PemWanted::revocation_list: return "CRL in PEM format (-----BEGIN X509 CRL-----)";
    }
    return "";
}

std::string listed(const std::vector<std::string>& things) {
    std::string list;
    for (const std::string& thing : things) list += (list.empty() ? "" : ", ") + thing;
    return list;
}

}  // namespace

std::string why_no_pem(protocol::Bytes file, const std::string& path, PemWanted wanted) {
    const std::string none = std::string("holds no ") + label_of(wanted);
    const std::string_view text = protocol::as_text(file);
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return none + ": it is empty";
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        return none + ": it is text in UTF-16; convert it with iconv -f UTF-16 -t UTF-8 -o " + in_shell(path + ".pem") +
               " " + in_shell(path);
    if (std::string der = why_der(file, path); !der.empty()) return none + ": it " + der;
    if (is_html(text)) return none + ": it is an HTML page; what answered the download was no file";
    if (text.find("-----BEGIN ") == std::string_view::npos) return none;
    if (text.find('\n') == std::string_view::npos && text.find('\r') != std::string_view::npos)
        return none + ": its lines end with carriage returns alone; convert it with tr '\\r' '\\n' < " +
               in_shell(path) + " > " + in_shell(path + ".pem");
    if (text.find("\\n") != std::string_view::npos)
        return none + ": its line breaks are written as \\n; convert it with sed 's/\\\\n/\\n/g' " + in_shell(path) +
               " > " + in_shell(path + ".pem");
    return none;
}

std::string why_none(const PemContents& contents, const std::string& path, PemWanted wanted) {
    std::string text = std::string("holds no ") + label_of(wanted);
    std::vector<std::string> found;
    for (const PemBlock& block : contents.others) {
        if (block.label == PEM_STRING_PKCS7 || block.label == PEM_STRING_CMS)
            return text + ": it is PKCS #7; " + command("openssl pkcs7 -print_certs", path, ".pem");
        found.push_back(block.label);
    }
    if (!contents.keys.empty()) found.push_back("a private key");
    if (!contents.certificates.empty()) found.push_back(std::to_string(contents.certificates.size()) + " certificates");
    if (!contents.crls.empty()) found.push_back(std::to_string(contents.crls.size()) + " CRLs");
    if (!found.empty()) text += ", but " + listed(found);
    return text;
}

}  // namespace tls
