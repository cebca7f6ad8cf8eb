#include "tls/system_store.hpp"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "config/file.hpp"
#include "tls/certificates.hpp"

namespace tls {
namespace {

namespace fs = std::filesystem;

struct Places {
    std::vector<std::string> files;
    std::vector<std::string> folders;
    bool file_is_named = false;  // by SSL_CERT_FILE
};

/// As OpenSSL reads it (ossl_safe_getenv): not at all in a set-user-ID program.
std::optional<std::string> variable(const char* name) {
    const char* const value = ::secure_getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

Places places() {
    const auto file = variable(X509_get_default_cert_file_env());
    const auto folders = variable(X509_get_default_cert_dir_env());
    Places result;
    result.file_is_named = file.has_value();
    result.files.push_back(file.value_or(X509_get_default_cert_file()));
    if (!file && !folders) result.files.push_back(std::string(X509_get_default_cert_dir()) + "/ca-certificates.crt");
    std::istringstream list(folders.value_or(X509_get_default_cert_dir()));
    for (std::string folder; std::getline(list, folder, ':');) {
        if (!folder.empty()) result.folders.push_back(folder);
    }
    return result;
}

/// "Nothing" where OpenSSL would have nothing either.
std::vector<PemCertificate> read_certificates(const std::string& path, std::string& why_not) {
    std::vector<config::Diagnostic> errors;
    const auto bytes = config::read_file({.path = path, .origin = {}}, config::FileKind::certificate, errors);
    if (!bytes) {
        why_not = errors.front().message;
        return {};
    }
    PemContents contents = read_pem(*bytes);
    if (contents.broken) {
        why_not = path + " " + to_string(*contents.broken);
        return {};
    }
    return std::move(contents.certificates);
}

/// The files of a hashed folder (openssl rehash) that OpenSSL would find: HASH.0, HASH.1 and so on,
/// without a gap.
std::map<unsigned long, std::vector<std::string>> hashed_files(const std::string& folder) {
    std::map<unsigned long, std::map<unsigned long, std::string>> numbered;
    std::error_code failed;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
        constexpr std::size_t hash_size = 8;
        const std::string name = at->path().filename().string();
        const bool has_form = name.size() > hash_size + 1 && name[hash_size] == '.' &&
                              name.find_first_not_of("0123456789abcdef") == hash_size &&
                              name.find_first_not_of("0123456789", hash_size + 1) == std::string::npos &&
                              name.size() < hash_size + 8;
        if (has_form) numbered[std::stoul(name, nullptr, 16)][std::stoul(name.substr(hash_size + 1))] = at->path();
    }
    std::map<unsigned long, std::vector<std::string>> files;
    for (const auto& [hash, paths] : numbered) {
        for (unsigned long i = 0; paths.contains(i); ++i) files[hash].push_back(paths.at(i));
    }
    return files;
}

/// Those that were not there yet.
void add(SystemStore& store, std::set<std::string>& seen, std::vector<PemCertificate> certificates) {
    for (PemCertificate& one : certificates) {
        if (seen.insert(digest(*one.certificate)).second) store.certificates.push_back(std::move(one));
    }
}

}  // namespace

SystemStore load_system_store() {
    const Places where = places();
    SystemStore store;
    std::set<std::string> seen;
    for (const std::string& file : where.files) {
        store.places += (store.places.empty() ? "" : ", ") + file;
        std::string why_not;
        add(store, seen, read_certificates(file, why_not));
        if (!why_not.empty() && where.file_is_named) store.problems.push_back("\"system\" (SSL_CERT_FILE): " + why_not);
    }
    for (const std::string& folder : where.folders) {
        store.places += (store.places.empty() ? "" : ", ") + folder;
        for (const auto& [hash, files] : hashed_files(folder)) {
            for (const std::string& file : files) {
                std::string why_not;  // one of many
                std::vector<PemCertificate> found = read_certificates(file, why_not);
                bool is_found = false;  // under this name
                for (const PemCertificate& one : found)
                    is_found |= (X509_subject_name_hash(one.certificate.get()) & 0xffffffffUL) == hash;
                if (is_found) add(store, seen, std::move(found));
            }
        }
    }
    return store;
}

std::vector<std::string> system_store_files() {
    std::vector<std::string> files;
    for (const std::string& file : places().files) {
        std::error_code failed;
        if (fs::exists(file, failed)) files.push_back(file);
    }
    return files;
}

}  // namespace tls
