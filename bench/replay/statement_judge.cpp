#include "bench/replay/statement_judge.hpp"

#include <utility>

#include "bench/replay/sql_rules.hpp"
#include "protocol/utf8.hpp"

namespace bench::replay {
namespace {

constexpr std::size_t max_sql = 80;

}  // namespace

std::string beginning_of(std::string_view sql) {
    std::string out;
    for (const char c : sql.substr(0, 4 * max_sql)) {
        const bool space = c == ' ' || (c >= '\t' && c <= '\r');
        if (!space) out += c;
        if (space && !out.empty() && out.back() != ' ') out += ' ';
    }
    return protocol::as_utf8(out, max_sql);
}

LeftOut StatementJudge::judge(std::string_view sql) const {
    if (looks_blanked(sql)) return LeftOut::blanked;
    if (writes_) return LeftOut::no;
    const Effect effect = effect_of(sql);
    if (effect == Effect::reads) return LeftOut::no;
    return effect == Effect::calls ? LeftOut::calls : LeftOut::writes;
}

LeftOut StatementJudge::query(std::string_view sql) {
    LeftOut why = judge(sql);
    for (const SqlName& name : names_in(sql)) why = by_its_name(name, why);
    return why;
}

/// What nobody has made in this session, a pooler may have kept of another one: it is not run.
LeftOut StatementJudge::by_its_name(const SqlName& name, LeftOut so_far) {
    const bool prepared = name.of == SqlName::Of::prepared;
    Names& names = prepared ? statements_ : portals_;
    if (name.role == SqlName::Role::made) {
        names.insert_or_assign(name.name, Prepared{.sql = {}, .left_out = so_far, .by_a_secret = false});
        return so_far;
    }
    if (so_far != LeftOut::no) return so_far;
    const auto found = names.find(name.name);
    if (found != names.end()) return found->second.left_out;
    const bool unknown = prepared && name.role == SqlName::Role::run && !writes_;
    return unknown ? LeftOut::writes : LeftOut::no;
}

LeftOut StatementJudge::parse(protocol::Reader body) {
    std::string name(body.cstring());
    const std::string_view sql = body.cstring();
    const LeftOut why = query(sql);
    statements_.insert_or_assign(
        std::move(name), Prepared{.sql = beginning_of(sql), .left_out = why, .by_a_secret = mentions_secrets(sql)});
    return why;
}

StatementJudge::Prepared StatementJudge::find(const Names& names, std::string_view name) const {
    const auto found = names.find(name);
    if (found != names.end()) return found->second;
    return {.sql = {}, .left_out = writes_ ? LeftOut::no : LeftOut::writes, .by_a_secret = false};
}

LeftOut StatementJudge::bind(protocol::Reader body) {
    std::string portal(body.cstring());
    Prepared prepared = find(statements_, body.cstring());
    body.take(std::size_t{2} * body.u16());
    for (unsigned left = body.u16(); left > 0 && body.ok(); --left) {
        const std::uint32_t size = body.u32();
        if (size == 0xffffffff) continue;  // NULL
        if (value_looks_blanked(body.take(size), prepared.by_a_secret) && prepared.left_out == LeftOut::no)
            prepared.left_out = LeftOut::blanked;
    }
    const LeftOut why = prepared.left_out;
    portals_.insert_or_assign(std::move(portal), std::move(prepared));
    return why;
}

LeftOut StatementJudge::named(protocol::Reader body) const {
    const Names& names = body.u8() == 'S' ? statements_ : portals_;
    const auto found = names.find(body.cstring());
    return found == names.end() ? LeftOut::no : found->second.left_out;
}

LeftOut StatementJudge::execute(protocol::Reader body, std::string& sql) const {
    Prepared prepared = find(portals_, body.cstring());
    sql = std::move(prepared.sql);
    return prepared.left_out;
}

}  // namespace bench::replay
