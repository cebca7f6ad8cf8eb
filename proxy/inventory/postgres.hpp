// A client of PostgreSQL for the proxy's own use, by libpq: every wait has an end, and no text it
// gives holds a password.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct pg_conn;

namespace proxy {

struct PostgresError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The server, or the way to it, is the trouble and not what was asked: gone, too slow, full, shut
/// down, in conflict with others. What was not committed is undone, and nothing else has changed.
struct PostgresBusy : PostgresError {
    using PostgresError::PostgresError;
};

/// postgresql://... as libpq reads it.
class PostgresUrl {
   public:
    static bool is_one(const std::string& text);
    /// Throws PostgresError, without quoting what may be part of a password.
    explicit PostgresUrl(std::string text);

    const std::string& text() const noexcept { return text_; }
    const std::string& shown() const noexcept { return shown_; }  ///< for people: without its password
    /// What the URL leaves open, and no variable of the environment says: verify-full, as for
    /// upstreams, and the roots of the system. Empty: nothing.
    const std::string& sslmode() const noexcept { return sslmode_; }
    const std::string& sslrootcert() const noexcept { return sslrootcert_; }

   private:
    std::string text_;
    std::string shown_;
    std::string sslmode_;
    std::string sslrootcert_;
};

class Postgres {
   public:
    using Row = std::vector<std::string>;

    /// Connects. `give_up` is asked ten times a second, and true ends any wait. Only the look-up of
    /// a name cannot be ended: libpq does that before it first comes back. `name`:
    /// application_name, unless the URL has one. Throws PostgresBusy.
    Postgres(const PostgresUrl& url, std::function<bool()> give_up, const char* name = "pgairlock");

    /// One statement; NULL is given as an empty text. Throws PostgresError, or
    /// PostgresBusy.
    std::vector<Row> exec(const std::string& sql, const std::vector<std::string>& parameters = {});
    /// The same, row by row: not all of them are kept.
    void each(const std::string& sql, const std::function<void(Row&)>& visit);

   private:
    void begin(const std::string& sql, const std::vector<std::string>& parameters);
    void finish(const std::function<void(Row&)>& visit);
    enum class For { read, write, read_or_write };
    void wait(For what, std::chrono::steady_clock::time_point deadline);
    void send(std::chrono::steady_clock::time_point deadline);

    struct Deleter {
        void operator()(pg_conn* p) const noexcept;
    };
    std::unique_ptr<pg_conn, Deleter> connection_;
    std::function<bool()> give_up_;
};

}  // namespace proxy
