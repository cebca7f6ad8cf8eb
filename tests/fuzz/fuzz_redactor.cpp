// Blanking a session: the same whatever pieces its bytes come in, headers as they were until the
// framing is lost, and no secret left, whatever stands around it.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/redactor.hpp"
#include "protocol/startup.hpp"
#include "support/messages.hpp"

namespace {

using namespace protocol;
using namespace std::string_literals;
using support::message;
using Sender = Redactor::Sender;

constexpr std::string_view planted = "Pl4ntedS3cret";

void check(bool holds) {
    if (!holds) std::abort();
}

/// What the fuzzer chose, byte by byte; zeros at its end.
class Choices {
   public:
    explicit Choices(Bytes bytes) : reader_(bytes) {}
    std::size_t below(std::size_t end) { return reader_.rest().empty() ? 0 : reader_.u8() % end; }
    std::string text(std::size_t longest) {
        const std::size_t size = std::min(below(longest + 1), reader_.rest().size());
        return std::string(as_text(reader_.take(size)));
    }
    /// Without NUL.
    std::string name() {
        std::string chosen = text(12);
        std::replace(chosen.begin(), chosen.end(), '\0', 'x');
        return chosen;
    }
    bool empty() const { return reader_.rest().empty(); }

   private:
    Reader reader_;
};

struct Said {
    Sender sender;
    std::string bytes;
};

std::vector<std::string> blanked(Payload payload, bool established, const std::vector<Said>& session,
                                 std::size_t piece) {
    Redactor redactor(payload);
    if (established) redactor.begin_established("UTF8");
    std::vector<std::string> left;
    for (const Said& said : session) {
        std::string text = said.bytes;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            redactor.blank(said.sender,
                           {reinterpret_cast<std::uint8_t*>(text.data()) + at, std::min(piece, text.size() - at)});
        }
        left.push_back(text);
    }
    return left;
}

std::string number(std::uint32_t value, std::size_t width) {
    std::string bytes;
    for (std::size_t i = width; i-- > 0;) bytes += static_cast<char>(value >> 8 * i);
    return bytes;
}
std::string value(const std::string& bytes) { return number(static_cast<std::uint32_t>(bytes.size()), 4) + bytes; }
std::string opening(std::uint32_t code, const std::string& rest) {
    return number(static_cast<std::uint32_t>(rest.size() + 8), 4) + number(code, 4) + rest;
}
std::string bind(const std::string& statement, const std::string& of) {
    return message('B', '\0' + statement + '\0' + number(0, 2) + number(1, 2) + value(of) + number(0, 2));
}

/// Of a session behind its login: it may not stay in any payload.
Said secret_message(Choices& choices, const std::string& secret) {
    switch (choices.below(8)) {
        case 0: return {Sender::client, message('p', choices.name() + secret + choices.name() + '\0')};
        case 1: return {Sender::server, message('K', number(7, 4) + choices.text(20) + secret)};
        case 2: return {Sender::server, message('R', number(11, 4) + choices.text(20) + secret)};
        case 3: return {Sender::client, message('Q', "ALTER ROLE r PASSWORD '" + secret + "'" + choices.name() + '\0')};
        case 4:
            return {Sender::client,
                    message('Q', "CREATE USER MAPPING FOR r SERVER s OPTIONS (password '" + secret + "')\0"s)};
        case 5:
            return {Sender::client,
                    message('P', "s\0UPDATE users SET password = $1\0"s + number(0, 2)) + bind("s", secret)};
        case 6: return {Sender::server, message('D', number(1, 2) + value("SCRAM-SHA-256$" + secret))};
        default: return {Sender::client, message('Q', "SELECT f('host=h password=" + secret + "')\0"s)};
    }
}

/// The same for `redacted` and `headers`.
Said data_message(Choices& choices, const std::string& secret) {
    const std::string rest = choices.text(12);
    switch (choices.below(10)) {
        case 0: return {Sender::server, message('D', number(2, 2) + value(rest) + value(secret))};
        case 1: return {Sender::server, message('d', rest + secret)};
        case 2: return {Sender::client, message('d', secret + rest)};
        case 3: return {Sender::server, message('A', number(1, 4) + choices.name() + '\0' + secret + '\0')};
        case 4: return {Sender::client, bind(choices.name(), rest + secret)};
        case 5:
            return {Sender::client,
                    message('F', number(1, 4) + number(0, 2) + number(1, 2) + value(secret) + number(0, 2))};
        case 6: return {Sender::server, message('V', value(secret + rest))};
        case 7: return {Sender::client, message('f', choices.name() + secret + '\0')};
        case 8:
            return {Sender::server, message('E', "SERROR\0C23505\0M"s + choices.name() + '\0' + 'D' + secret + '\0' +
                                                     "Wx " + secret + '\0' + '\0')};
        default:
            return {Sender::client, message('Q', "SELECT " + std::to_string(rest.size()) + ", '" + secret + "'\0"s)};
    }
}

std::vector<Said> session_of(Choices& choices, bool with_data) {
    std::vector<Said> session;
    const std::string secret(planted);
    while (!choices.empty() && session.size() < 20) {
        switch (choices.below(3)) {
            case 0: session.push_back(secret_message(choices, secret)); break;
            case 1:
                if (with_data) session.push_back(data_message(choices, secret));
                break;
            default: {  // a body that nobody understands
                const Sender sender = choices.below(2) == 0 ? Sender::client : Sender::server;
                const char type = static_cast<char>("QPBDECFHSXpdcfRKSZTtCENAGHWVv123y"[choices.below(33)]);
                session.push_back({sender, message(type, choices.text(40))});
            }
        }
    }
    return session;
}

void check_headers(const std::string& before, const std::string& after) {
    Bytes rest = as_bytes(before);
    std::size_t at = 0;
    while (rest.size() >= message_header_size) {
        Reader reader(rest.subspan(1));
        check(before.compare(at, message_header_size, after, at, message_header_size) == 0);
        const std::size_t whole = reader.u32() + 1;
        at += whole;
        rest = rest.subspan(std::min(whole, rest.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const Payload payload = static_cast<Payload>(data[0] % 3);
    const bool established = (data[0] & 0x80) != 0;
    const std::size_t piece = std::size_t{data[1]} + 1;
    const Bytes bytes(data + 2, size - 2);

    if (as_text(bytes).find(planted) != std::string_view::npos) return -1;  // where nobody promises to hide it

    // Anything at all, from either side in turns.
    Choices any(bytes);
    std::vector<Said> noise;
    while (!any.empty()) {
        const Sender sender = any.below(2) == 0 ? Sender::client : Sender::server;
        noise.push_back({sender, any.text(100)});
    }
    check(blanked(payload, established, noise, piece) == blanked(payload, established, noise, 100));

    // Whole messages of a session.
    Choices choices(bytes);
    const std::vector<Said> session = session_of(choices, payload != Payload::full);
    const auto left = blanked(payload, true, session, piece);
    check(left == blanked(payload, true, session, 1 << 20));
    for (std::size_t i = 0; i < session.size(); ++i) {
        check_headers(session[i].bytes, left[i]);
        check(left[i].find(planted) == std::string::npos);
    }

    // How it begins.
    const std::string secret(planted);
    const std::string name = Choices(bytes).name();
    for (const std::string& packet :
         {opening(cancel_request_code, number(7, 4) + secret),
          opening(3 << 16, "user\0x\0"s + "password" + '\0' + secret + '\0' + name + '\0'),
          opening(3 << 16, "application_name\0"s + name + " password=" + secret + '\0' + '\0')}) {
        for (const std::string& packet_left : blanked(payload, false, {{Sender::client, packet}}, piece)) {
            check(packet_left.find(planted) == std::string::npos);
            check(packet_left.compare(0, 8, packet, 0, 8) == 0);
        }
    }
    return 0;
}
