// One statement of SQL as its tokens, and the questions that tell what it may do. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/replay/sql_lexer.hpp"

namespace bench::replay {

/// A prepared statement or a cursor that a statement names.
struct SqlName {
    enum class Of { prepared, cursor };
    enum class Role { made, run, ended };

    Of of = Of::prepared;
    Role role = Role::made;
    std::string name;
};

class SqlStatement {
   public:
    void add(const Token& token);
    bool empty() const { return tokens_.empty(); }

    /// Each of them is known to change nothing.
    bool only_reads() const;
    /// It calls what is not in harmless_functions.hpp, or in a schema that is not pg_catalog.
    bool calls_unknown() const;
    /// PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE and CLOSE have one.
    std::optional<SqlName> name() const;

   private:
    struct Part {
        Token token;
        std::string text;  // of a word in lower case; of a name what it means
        unsigned depth = 0;
    };

    const Part& at(std::size_t i) const;
    /// An unquoted word: a keyword is nothing else.
    bool is(std::size_t i, std::string_view keyword) const;
    bool is_sign(std::size_t i, std::string_view sign) const { return at(i).token.is(sign); }
    bool is_name(std::size_t i) const;
    bool has(std::string_view keyword) const;
    bool has(std::string_view first, std::string_view second) const;
    std::size_t first_word() const;
    bool names_guarded(std::size_t begin) const;
    bool reads_only_set(std::size_t begin) const;
    bool reads_only_set_config() const;
    bool copies_to_client() const;
    bool locks_for_reading() const;
    bool calls_unknown_at(std::size_t bracket) const;

    std::vector<Part> tokens_;
    unsigned depth_ = 0;
    bool unreadable_ = false;
};

}  // namespace bench::replay
