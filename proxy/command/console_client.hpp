// A client of the running proxy's console, by libpq.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace proxy::command {

/// Nobody to ask, or the answer is no: what to do about it is in the text.
struct ConsoleError : std::runtime_error {
    ConsoleError(const std::string& what, std::string state = {})
        : std::runtime_error(what), sqlstate(std::move(state)) {}
    std::string sqlstate;  ///< empty: the console did not say no, but something else went wrong
};

struct ConsoleTable {
    struct Column {
        std::string name;
        bool is_number = false;
    };
    std::vector<Column> columns;
    std::vector<std::vector<std::optional<std::string>>> rows;

    /// Of a column that must be there; empty also for NULL.
    std::string value(std::size_t row, std::string_view column) const;
};

class ConsoleClient {
   public:
    /// `path`: of the socket, or of its folder; "unix:" may stand in front. Throws ConsoleError.
    explicit ConsoleClient(std::string path);
    ConsoleClient(const ConsoleClient&) = delete;
    ConsoleClient& operator=(const ConsoleClient&) = delete;

    /// What the console warns of, as it comes.
    std::function<void(const std::string& text)> on_notice;

    const std::string& path() const noexcept { return path_; }

    /// One statement, answered within `patience`. Throws ConsoleError.
    ConsoleTable query(const std::string& sql, std::chrono::seconds patience = std::chrono::seconds(40));

    /// A statement that is answered with a stream, of which nothing has been taken yet. Throws
    /// ConsoleError.
    void begin_stream(const std::string& sql);
    /// What has come of it, without a wait. Throws ConsoleError when it breaks off.
    struct Piece {
        std::string bytes;  ///< empty: nothing has come
        bool over = false;  ///< nor will anything
    };
    Piece next_piece();
    /// Readable when there may be another piece.
    int socket() const noexcept;
    /// Asks for the end of the stream, which still comes in order.
    void cancel();

   private:
    static void take_notice(void* self, const pg_result* notice);
    void send(const std::string& sql);
    void wait_for_answer(std::chrono::steady_clock::time_point deadline);
    [[noreturn]] void fail() const;

    struct Deleter {
        void operator()(pg_conn* p) const noexcept;
    };
    std::string path_;
    std::unique_ptr<pg_conn, Deleter> connection_;
};

}  // namespace proxy::command
