// What a server answered to a request, as far as two servers can be compared by it: command tags,
// row counts, SQLSTATEs, and a number that stands for the rows. Rows themselves are never kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/replay/message_reader.hpp"

namespace bench::replay {

/// Of one statement.
struct Result {
    std::string text;        ///< its command tag, or severity, SQLSTATE and message of its error
    std::string sqlstate;    ///< empty: no error
    std::uint64_t rows = 0;  ///< of a query, or of COPY TO
    std::uint64_t hash = 0;  ///< of its rows, in whatever order they came
    bool blanked = false;    ///< rows hold what looks blanked: their hash means nothing

    /// "SELECT 3", "ERROR 42P01: relation ...": for people.
    std::string shown() const;
};

/// Up to a ReadyForQuery.
struct Answer {
    std::vector<Result> results;
    char transaction = '\0';  ///< as ReadyForQuery says
};

class AnswerReader {
   public:
    explicit AnswerReader(bool hash_rows);
    AnswerReader(const AnswerReader&) = delete;
    AnswerReader& operator=(const AnswerReader&) = delete;

    /// As MessageReader::next(): the type of a message, which is in the answer now. Behind a 'Z' it
    /// is whole.
    std::optional<char> next(protocol::Bytes& bytes);
    protocol::Bytes body() const noexcept { return messages_.body(); }
    bool broken() const noexcept { return messages_.broken(); }
    /// Messages that tell a client how far the server is, since the last take().
    unsigned parts() const noexcept { return parts_; }
    /// An error is in it.
    bool failed() const noexcept { return failed_; }
    Answer take();

   private:
    void piece(char type, protocol::Bytes part);
    void end_result(std::string text, std::string sqlstate = {});

    bool hash_rows_;
    MessageReader messages_;
    Answer answer_;
    Result result_;  // of the statement that is being answered
    unsigned parts_ = 0;
    bool failed_ = false;
    std::uint64_t row_hash_;
    unsigned stars_ = 0;  // the last bytes of the row so far are so many '*'
};

}  // namespace bench::replay
