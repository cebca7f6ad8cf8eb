#include "protocol/client_encoding.hpp"

#include <algorithm>
#include <array>

#include "protocol/secret_words.hpp"

namespace protocol {
namespace {

// With the aliases of src/common/encnames.c, cleaned as there.
constexpr auto safe_encodings = std::to_array<std::string_view>({
    "abc",         "alt",         "eucjis2004",  "euccn",       "eucjp",       "euckr",       "euctw",
    "iso88591",    "iso885910",   "iso885913",   "iso885914",   "iso885915",   "iso885916",   "iso88592",
    "iso88593",    "iso88594",    "iso88595",    "iso88596",    "iso88597",    "iso88598",    "iso88599",
    "koi8",        "koi8r",       "koi8u",       "latin1",      "latin10",     "latin2",      "latin3",
    "latin4",      "latin5",      "latin6",      "latin7",      "latin8",      "latin9",      "muleinternal",
    "sqlascii",    "tcvn",        "tcvn5712",    "unicode",     "utf8",        "vscii",       "win",
    "win1250",     "win1251",     "win1252",     "win1253",     "win1254",     "win1255",     "win1256",
    "win1257",     "win1258",     "win866",      "win874",      "windows1250", "windows1251", "windows1252",
    "windows1253", "windows1254", "windows1255", "windows1256", "windows1257", "windows1258", "windows866",
    "windows874",
});
constexpr std::size_t longest_encoding = 16;

}  // namespace

bool is_ascii_safe(std::string_view client_encoding) noexcept {
    std::array<char, longest_encoding> cleaned;
    std::size_t size = 0;
    for (const char each : client_encoding) {
        const char c = to_lower(static_cast<std::uint8_t>(each));
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) continue;
        if (size == cleaned.size()) return false;
        cleaned[size++] = c;
    }
    return std::find(safe_encodings.begin(), safe_encodings.end(), std::string_view(cleaned.data(), size)) !=
           safe_encodings.end();
}

void EncodingTrust::named(std::string_view client_encoding) noexcept {
    if (!protocol::is_ascii_safe(client_encoding))
        state_ = State::unsafe;
    else if (state_ == State::unknown)
        state_ = State::safe;
}

}  // namespace protocol
