#include "protocol/alert_meaning.hpp"

#include <algorithm>
#include <iterator>

namespace protocol {
namespace {

struct Meaning {
    int alert;
    std::string_view words;
};

constexpr Meaning meanings[] = {
    {10, "the client met a message that it did not expect"},
    {20, "a record did not authenticate: something between the two changes bytes"},
    {22, "the client met a record that is too long: what it read may be no TLS"},
    {40, "client and proxy have no cipher, group or signature in common"},
    {42, "the client finds something wrong with the certificate"},
    {43, "the client does not support this kind of certificate"},
    {44, "the client says that the certificate is revoked"},
    {45, "the client says that the certificate is expired or not yet valid; its clock may be wrong"},
    {46, "the client refused the certificate without saying why; Java says so when it does not trust the CA"},
    {47, "the client found a field that is out of range"},
    {48, "the client does not trust the CA of the certificate that it was shown"},
    {49, "the client refused access by the certificate that it was shown"},
    {50, "the client could not decode a message"},
    {51, "a signature did not verify"},
    {70, "client and proxy have no TLS version in common"},
    {71, "the client wants stronger ciphers than it was offered"},
    {80, "the client failed for a reason of its own"},
    {86, "the client tried an older version than it could"},
    {90, "the client was told to stop"},
    {109, "the client misses an extension"},
    {110, "the client was told of an extension that it does not support"},
    {112, "the client asked for a name that nobody has"},
    {116, "a certificate of the client was required"},
    {120, "client and proxy have no application protocol in common"},
};

}  // namespace

std::string_view alert_meaning(int alert) noexcept {
    const auto* const found = std::find_if(std::begin(meanings), std::end(meanings),
                                           [&](const Meaning& meaning) { return meaning.alert == alert; });
    return found == std::end(meanings) ? std::string_view() : found->words;
}

}  // namespace protocol
