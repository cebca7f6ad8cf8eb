// What of a client's messages may be played: each by what it says, and by what it stands on, such
// as the Bind of a prepared INSERT. Pure.
#pragma once

#include <map>
#include <string>

#include "bench/replay/plan.hpp"
#include "bench/replay/sql_statement.hpp"
#include "protocol/bytes.hpp"

namespace bench::replay {

class StatementJudge {
   public:
    /// `writes`: all but what is blanked may be played.
    explicit StatementJudge(bool writes) : writes_(writes) {}

    LeftOut query(std::string_view sql);
    /// The bodies of Parse, Bind, and Describe or Close.
    LeftOut parse(protocol::Reader body);
    LeftOut bind(protocol::Reader body);
    LeftOut named(protocol::Reader body) const;
    /// The body of Execute; `sql` becomes the beginning of its statement, where that is known.
    LeftOut execute(protocol::Reader body, std::string& sql) const;

   private:
    /// What a prepared statement or a portal stands for.
    struct Prepared {
        std::string sql;  // its beginning
        LeftOut left_out = LeftOut::no;
        bool by_a_secret = false;
    };
    using Names = std::map<std::string, Prepared, std::less<>>;

    LeftOut judge(std::string_view sql) const;
    LeftOut by_its_name(const SqlName& name, LeftOut so_far);
    Prepared find(const Names& names, std::string_view name) const;

    bool writes_;
    // SQL's PREPARE and DECLARE share their names with the protocol's.
    Names statements_;
    Names portals_;
};

/// The first 80 characters of a statement, in one line.
std::string beginning_of(std::string_view sql);

}  // namespace bench::replay
