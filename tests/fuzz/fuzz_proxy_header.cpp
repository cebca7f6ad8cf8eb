// A PROXY protocol header and what is behind it, whole and byte by byte: both come to the same, and
// nothing behind the header is touched.
#include <algorithm>
#include <cstdlib>

#include "protocol/proxy_header.hpp"

namespace {

using namespace protocol;
using State = ProxyHeaderParser::State;

void check(bool holds) {
    if (!holds) std::abort();
}

ProxyHeaderParser read(Bytes rest, std::size_t piece) {
    ProxyHeaderParser parser;
    while (parser.state() == State::reading && !rest.empty()) {
        check(parser.wanted() > 0);
        const std::size_t size = std::min({piece, parser.wanted(), rest.size()});
        parser.feed(rest.first(size));
        rest = rest.subspan(size);
    }
    return parser;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input(data, size);
    const ProxyHeaderParser whole = read(input, size), cut = read(input, 1);
    check(whole.state() == cut.state() && whole.fault() == cut.fault());
    check(whole.taken().size() == cut.taken().size() && whole.taken().size() <= max_proxy_header);
    check((whole.state() == State::failed) == (whole.fault() != Fault::none));
    check(whole.state() != State::reading || whole.taken().size() == size);
    if (whole.state() != State::complete) return 0;

    const ProxyHeader& header = whole.header();
    const Bytes taken = whole.taken();
    if (header.version == 1) check(taken.size() <= max_proxy_line && as_text(taken).ends_with("\r\n"));
    if (header.version == 2) check(taken.size() == 16 + (std::size_t{taken[14]} << 8 | taken[15]));
    check(header.source.has_value() == header.destination.has_value());
    if (header.local) check(!header.source && !header.tls && header.vpce_id.empty() && header.authority.empty());
    check(header.unique_id.size() <= 128 && header.alpn.size() <= 255 && header.authority.size() <= 255);
    for (const char c : header.vpce_id) check(c > 0x20 && c < 0x7f);
    if (header.tls) check(!header.tls->verified || (header.tls->certificate && header.tls->used));
    return 0;
}
