// What a replay without --writes takes SQL for: whatever stands before or behind it, a statement
// that writes is seen, and what reads beside what reads still reads.
#include <cstdlib>
#include <string>

#include "bench/replay/sql_rules.hpp"

namespace {

using bench::replay::Effect;
using bench::replay::effect_of;

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // As it comes in a message: to its first zero.
    std::string sql(reinterpret_cast<const char*>(data), size);
    sql.resize(std::min(sql.find('\0'), sql.size()));
    const Effect effect = effect_of(sql);
    for (const char* writes : {"delete from t", "CALL p()", "reset transaction_read_only", "select 1 for update"}) {
        check(effect_of(sql + "\n;" + writes) == Effect::writes);
        check(effect_of(std::string(writes) + ";" + sql) == Effect::writes);
    }
    check(effect_of(sql + "\n;select pg_reload_conf()") != Effect::reads);
    check(effect_of("select 1;" + sql) == effect);
    if (effect == Effect::reads) {
        check(effect_of(sql + "\n;" + sql) == Effect::reads);
        check(effect_of(sql + "\n-- delete from t") == Effect::reads);
    }
    bench::replay::names_in(sql);
    bench::replay::looks_blanked(sql);
    return 0;
}
