// A handshake message in place of a ClientHello, and the fingerprint of what was read.
#include <algorithm>
#include <cstdlib>

#include "protocol/client_hello.hpp"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

std::string no_hash(std::string_view text) {
    std::string out(text.substr(0, 12));
    out.resize(64, '0');
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto hello = protocol::parse_client_hello({data, size});
    if (!hello) return 0;
    check(hello->ciphers.size() * 2 + hello->extensions.size() * 4 + hello->sni.size() <= size);
    for (const char c : hello->sni) check(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    const std::string ja4 = protocol::ja4(*hello, no_hash);
    check(ja4.size() == 10 + 1 + 12 + 1 + 12 && ja4[0] == 't' && ja4[10] == '_' && ja4[23] == '_');
    return 0;
}
