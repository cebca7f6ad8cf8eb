// What one message of a session says about how later ones are to be blanked, of either side.
#pragma once

#include <cstdint>

#include "protocol/sql_statement.hpp"

namespace protocol {

struct SessionFacts {
    SqlSession sql;
    StatementNames portals;            ///< of statements that may hold secrets
    std::uint32_t authentication = 0;  ///< the server's last code
    bool binary_results = false;       ///< some column of the rows that come
    bool binary_copy = false;

    /// A statement that may hold secrets has come, and maybe not all of its answer.
    bool secret_open = false;

    void client_sent(char type) noexcept;
    /// What was prepared and bound before, nobody saw.
    void names_are_unknown() noexcept;
    void server_is_ready() noexcept;
    /// Nobody knows any more what the client says.
    void client_is_lost() noexcept;
    /// Nobody hears any more when client_encoding changes.
    void server_is_lost() noexcept;

   private:
    std::uint64_t awaited_ = 0;  // ReadyForQuery
    bool unsynced_ = false;      // the last messages of the client are answered behind its next Sync
    bool lost_ = false;
};

}  // namespace protocol
