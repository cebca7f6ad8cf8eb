// A login between two peers that may say anything. The first byte tells whether the server leg is TLS; what follows is one stream
// of messages, of which each goes to the side that the login waits for.
#include <algorithm>
#include <cstdlib>

#include "protocol/login.hpp"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace protocol;
    using Next = Login::Next;
    if (size == 0) return 0;
    Login login((data[0] & 1) != 0);
    MessageBuffer stream(std::min(max_client_login_message, max_server_login_message));
    stream.append(Bytes(data + 1, size - 1));
    while (login.next() == Next::read_server || login.next() == Next::read_client) {
        const auto message = stream.next();
        if (!message) {
            if (!stream.oversized()) return 0;
            login.oversized();
            check(login.next() == Next::failed);
            break;
        }
        const bool from_server = login.next() == Next::read_server;
        Buffer out;
        from_server ? login.from_server(*message, out) : login.from_client(*message, out);
        // Whatever is passed on is the message itself, or an offer that became shorter.
        check(out.size() <= message->whole.size());
        check(login.next() != Next::failed || out.empty());
        const auto text = as_text(out);
        if (from_server && text.starts_with("R") && text.size() > 9 && text[8] == 10)
            check(text.find(std::string_view("-PLUS\0", 6)) == text.npos);
    }
    check((login.next() == Next::failed) == (login.fault() != Fault::none));
    check(login.next() != Next::established || login.authenticated());
    check(!login.refused_at_once() || !login.authenticated());
    if (login.key()) check(login.key()->key.size() >= 4 && login.key()->key.size() <= 256);
    return 0;
}
