#include "tls/in_use.hpp"

namespace tls {

std::string_view label(Use use) noexcept {
    switch (use) {
        case Use::shown: return "listener";
        case Use::client_certificate: return "client_certificate";
        case Use::intermediate: return "intermediate";
        case Use::client_ca: return "client_ca";
        case Use::anchor: return "anchor";
        case Use::candidate: return "candidate";
        case Use::candidate_certificate: return "candidate_certificate";
        case Use::server: return "server";
        case Use::server_intermediate: return "server_intermediate";
    }
    return "";
}

bool is_trusted(Use use) noexcept { return use == Use::client_ca || use == Use::anchor || use == Use::candidate; }

void CertificatesInUse::add(Use use, const std::string& file, const X509& certificate, bool alone) {
    const Entry& entry = entries_.emplace_back(
        CertificateInUse{.use = use,
                         .file = file,
                         .certificate = std::make_shared<const CertificateFacts>(describe(certificate)),
                         .alone = alone,
                         .used = !is_trusted(use)});
    // What stands in two files is noted once: it is the first that OpenSSL finds.
    if (is_trusted(use)) trusted_.try_emplace({use, digest(certificate)}, &entry);
}

void CertificatesInUse::note_used(Use use, const std::string& digest) const noexcept {
    try {
        const auto found = trusted_.find({use, digest});
        // Read first: a line of memory that is only read is shared by all threads.
        if (found == trusted_.end() || found->second->used.load(std::memory_order_relaxed)) return;
        found->second->used.store(true, std::memory_order_relaxed);
    } catch (const std::bad_alloc&) {
        // The next one says it.
    }
}

void CertificatesInUse::note_used(Use use, const STACK_OF(X509) * chain) const noexcept {
    try {
        for (int i = 0; i < sk_X509_num(chain); ++i) note_used(use, digest(*sk_X509_value(chain, i)));
    } catch (const std::bad_alloc&) {
        // As above.
    }
}

std::vector<CertificateInUse> CertificatesInUse::all() const {
    std::vector<CertificateInUse> all;
    all.reserve(entries_.size());
    for (const Entry& entry : entries_) {
        all.push_back(entry.is);
        all.back().used = entry.used.load(std::memory_order_relaxed);
    }
    return all;
}

}  // namespace tls
