// One question of our own by the simple protocol, and its rows, as text and within bounds. Whoever
// does the I/O feeds whole messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/own_login.hpp"

namespace protocol {

/// As the server writes them; nullopt: NULL.
using TextRow = std::vector<std::optional<std::string>>;

/// What an answer may have; one that has more is none.
struct AnswerBounds {
    std::size_t bytes = 64 * 1024;  ///< of all its messages, headers included, and of each
    std::size_t rows = 128;
};

/// Appends a Query message. `sql`: one statement without NUL.
void append_query(Buffer& out, std::string_view sql);
/// Appends Terminate.
void append_terminate(Buffer& out);

class SimpleQuery {
   public:
    explicit SimpleQuery(AnswerBounds bounds) noexcept : bounds_(bounds) {}

    enum class Next {
        read_server,  // from_server() with its next message, or oversized()
        answered,     // done: rows()
        refused,      // done: failure(), and the session may be asked again
        failed,       // done: failure(), and nobody knows what the server says next
    };
    Next next() const noexcept { return next_; }
    void from_server(const Message& message);
    /// The server's next message is over the bounds.
    void oversized() { fail("the answer is longer than it may be"); }

    const std::vector<TextRow>& rows() const noexcept { return rows_; }
    const OwnFailure& failure() const noexcept { return failure_; }

   private:
    void data_row(Bytes body);
    void fail(std::string text);

    const AnswerBounds bounds_;
    Next next_ = Next::read_server;
    std::size_t bytes_ = 0;
    std::vector<TextRow> rows_;
    std::optional<OwnFailure> error_;  // of the server
    OwnFailure failure_;
};

}  // namespace protocol
