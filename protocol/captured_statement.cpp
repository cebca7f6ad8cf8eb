#include "protocol/captured_statement.hpp"

#include <algorithm>

#include "protocol/utf8.hpp"

namespace protocol {

ErrorResponse captured_error(Bytes body) {
    ErrorResponse error{.severity = {}, .sqlstate = {}, .message = {}, .detail = {}, .hint = {}};
    std::string_view in_english;
    Reader reader(body);
    for (char code = static_cast<char>(reader.u8()); code != 0 && reader.ok(); code = static_cast<char>(reader.u8())) {
        const std::string_view all = as_text(reader.rest());
        const std::string_view value = reader.cstring().substr(0, max_peer_text);
        // The last one may be cut off.
        const std::string_view text = reader.ok() ? value : all.substr(0, max_peer_text);
        switch (code) {
            case 'S': error.severity = text; break;
            case 'V': in_english = text; break;
            case 'C': error.sqlstate = text.substr(0, 5); break;
            case 'M': error.message = text; break;
            case 'D': error.detail = text; break;
            case 'H': error.hint = text; break;
            default: break;
        }
    }
    if (!in_english.empty()) error.severity = in_english;
    return error;
}

}  // namespace protocol
