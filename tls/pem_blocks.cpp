#include "tls/pem_blocks.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <new>
#include <string_view>

#include "tls/certificates.hpp"
#include "tls/pem_leftovers.hpp"

namespace tls {
namespace {

constexpr std::string_view begin_marker = "-----BEGIN ";
constexpr std::string_view end_marker = "-----END ";
constexpr std::string_view five_dashes = "-----";

/// One block as OpenSSL reads it. False: there is no other, or it is broken; the error queue says.
bool next_block(BIO* bio, std::string& label) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) return false;
    label = name;
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));  // it may be a private key
    return true;
}

/// The first line from `at` on that OpenSSL takes for the beginning of a block; of any kind when
/// `label` is empty.
std::optional<TextLine> find_begin(LineReader lines, std::string_view label) {
    while (const std::optional<TextLine> line = lines.next()) {
        const std::string_view text = without_trailing_blanks(line->text);
        const bool begins =
            text.starts_with(begin_marker) && text.ends_with(five_dashes) && text.size() > begin_marker.size();
        const std::string_view found =
            begins ? text.substr(begin_marker.size(), text.size() - begin_marker.size() - five_dashes.size())
                   : std::string_view();
        if (begins && (label.empty() || found == label)) return line;
    }
    return std::nullopt;
}

/// For OpenSSL base64 ends with a dash, and what follows up to the END line is nothing: of two
/// blocks without the END line between them the second is lost.
void find_swallowed(LineReader block, std::vector<PemFinding>& findings) {
    const std::optional<TextLine> first = block.next();
    while (const std::optional<TextLine> line = block.next()) {
        if (line->text.starts_with(begin_marker))
            findings.push_back({line->number, "is passed over: the block before it (line " +
                                                  std::to_string(first->number) + ") has no END line"});
    }
}

/// Why what begins with the line `first` is no block, in words; `reason` is OpenSSL's.
std::string why_broken(LineReader lines, const std::string& reason) {
    const std::optional<TextLine> first = lines.next();
    const std::string_view label = without_trailing_blanks(first->text).substr(begin_marker.size());
    while (const std::optional<TextLine> line = lines.next()) {
        const std::string at = " (line " + std::to_string(line->number) + ")";
        const std::string_view text = without_trailing_blanks(line->text);
        if (text.starts_with(begin_marker)) return "has no END line before the next one begins" + at;
        if (text.find(end_marker) == std::string_view::npos) continue;
        if (text.find("BEGIN ") != std::string_view::npos)
            return "the line break between its END and the next BEGIN is missing" + at;
        if (text == std::string(end_marker) + std::string(label)) return "its contents are broken: " + reason;
        return "its END line is not exactly " + std::string(end_marker) + std::string(label) + at;
    }
    return "the file ends within it: it was cut off";
}

}  // namespace

std::string to_string(const PemFinding& finding) {
    return "line " + std::to_string(finding.line) + ": " + finding.what;
}

PemBlocks divide(protocol::Bytes file) {
    PemBlocks result;
    if (file.empty()) return result;
    const BioPtr bio(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    if (!bio) throw std::bad_alloc();
    const std::string_view text = protocol::as_text(file);
    LineReader rest(text);  // stands behind the last block
    ERR_clear_error();
    for (std::string label; next_block(bio.get(), label);) {
        const std::size_t behind = text.size() - static_cast<std::size_t>(BIO_pending(bio.get()));
        const std::optional<TextLine> first = find_begin(rest, label);
        const std::size_t at = first ? first->offset : rest.offset();
        find_leftovers(rest.until(at), result.skipped);
        LineReader block = rest.until(behind);
        block.skip_to(at);
        find_swallowed(block, result.skipped);
        result.blocks.push_back({label, file.subspan(at, behind - at), first ? first->number : rest.number()});
        rest.skip_to(behind);
    }
    const unsigned long error = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    const std::string reason = take_openssl_error("unreadable");
    if (at_end) {
        find_leftovers(rest, result.skipped);
    } else if (const std::optional<TextLine> first = find_begin(rest, {})) {
        find_leftovers(rest.until(first->offset), result.skipped);
        rest.skip_to(first->offset);
        result.broken = {first->number, why_broken(rest, reason)};
    } else {
        result.broken = {rest.number(), reason};
    }
    return result;
}

}  // namespace tls
