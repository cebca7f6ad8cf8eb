// Blanking SQL: the same whatever pieces it comes in, each byte as it was or a *, and nothing left
// of a literal or a comment, whatever is in it.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/sql_blanker.hpp"

namespace {

using namespace protocol;

void check(bool holds) {
    if (!holds) std::abort();
}

struct How {
    SqlContent content;
    bool ascii_safe;
};

std::string blanked(How how, std::string_view sql, std::size_t piece) {
    SqlSession session;
    if (how.ascii_safe) session.encoding.named("UTF8");
    SqlBlanker blanker(how.content, session);
    std::string text(sql);
    blanker.begin();
    for (std::size_t at = 0; at < text.size(); at += piece) {
        blanker.blank({reinterpret_cast<std::uint8_t*>(text.data()) + at, std::min(piece, text.size() - at)});
    }
    blanker.end();
    return text;
}

/// All of the text between `before` and `after` is gone, but for its quotes.
void check_hidden(How how, const std::string& before, const std::string& text, const std::string& after) {
    const std::string left = blanked(how, before + text + after, before.size() + text.size() + after.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = left[before.size() + i];
        check(c == '*' || (c == '\'' && text[i] == '\''));
    }
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
        text.replace(at, what.size(), by);
    }
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const How how{.content = (data[0] & 1) != 0 ? SqlContent::without_secrets : SqlContent::without_literals,
                  .ascii_safe = (data[0] & 2) != 0};
    const std::string sql(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::string whole = blanked(how, sql, std::max<std::size_t>(sql.size(), 1));
    check(blanked(how, sql, std::size_t{data[1]} + 1) == whole);
    check(blanked(how, sql, 1) == whole);
    for (std::size_t i = 0; i < sql.size(); ++i) check(whole[i] == sql[i] || whole[i] == '*');

    const How without_literals{.content = SqlContent::without_literals, .ascii_safe = how.ascii_safe};
    const std::string in_quotes = replaced(sql, "'", "''");
    check_hidden(without_literals, "SELECT a, '", in_quotes, "', b");
    check_hidden(without_literals, "SELECT a, E'", replaced(in_quotes, "\\", "\\\\"), "', b");
    check_hidden(without_literals, "SELECT a, $t$", replaced(sql, "$", ""), "$t$, b");
    check_hidden(without_literals, "SELECT a -- ", replaced(replaced(sql, "\n", ""), "\r", ""), "\n, b");
    check_hidden(without_literals, "SELECT a /* ", replaced(replaced(sql, "/", ""), "*", ""), "*/, b");
    const How without_secrets{.content = SqlContent::without_secrets, .ascii_safe = how.ascii_safe};
    check_hidden(without_secrets, "CREATE ROLE a PASSWORD '", in_quotes, "' LOGIN");
    check_hidden(without_secrets, "ALTER USER a PASSWORD $t$", replaced(sql, "$", ""), "$t$");
    check_hidden(without_secrets, "CREATE SUBSCRIPTION s CONNECTION '", in_quotes, "' PUBLICATION p");
    check_hidden(without_secrets, "SELECT 'host=h password=", in_quotes, "', b");
    return 0;
}
