#include "proxy/inventory/postgres.hpp"

#include <libpq-fe.h>
#include <openssl/x509.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string_view>

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto connect_timeout = 5s;
/// More than the statement_timeout that is set: then it is the connection that hangs.
constexpr auto answer_timeout = 60s;
constexpr auto poll_interval = 100ms;

struct ResultDeleter {
    void operator()(PGresult* p) const noexcept { PQclear(p); }
    void operator()(PQconninfoOption* p) const noexcept { PQconninfoFree(p); }
};
using Result = std::unique_ptr<PGresult, ResultDeleter>;

/// One line: libpq's messages end with a newline, and have some within.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
    }
    return text;
}

bool is_there(const char* variable) { return std::getenv(variable) != nullptr; }

/// Where libpq looks first.
bool has_root_of_its_own() {
    const char* const home = std::getenv("HOME");
    return home != nullptr && ::access((std::string(home) + "/.postgresql/root.crt").c_str(), F_OK) == 0;
}

/// libpq has a word for them since version 16.
std::string roots_of_the_system() {
    constexpr int first_with_system = 160000;
    return PQlibVersion() >= first_with_system ? "system"
                                               : std::string(X509_get_default_cert_dir()) + "/ca-certificates.crt";
}

bool is_number(const std::string& text) { return text.find_first_not_of("0123456789,") == std::string::npos; }

/// SQLSTATE (PostgreSQL docs, "Error Codes"): connection, rollback, resources, locks, operators.
/// Without one it is libpq that has failed.
bool is_trouble_of_its_own(const PGresult* result) {
    const char* const found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view state = found ? found : "";
    return state.empty() || state.starts_with("08") || state.starts_with("40") || state.starts_with("53") ||
           state.starts_with("55") || state.starts_with("57");
}

}  // namespace

bool PostgresUrl::is_one(const std::string& text) {
    return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

PostgresUrl::PostgresUrl(std::string text) : text_(std::move(text)) {
    char* ignored = nullptr;  // it quotes what it did not understand
    const std::unique_ptr<PQconninfoOption, ResultDeleter> options(PQconninfoParse(text_.c_str(), &ignored));
    PQfreemem(ignored);
    if (!options) throw PostgresError("not a connection URI of PostgreSQL");
    std::map<std::string, std::string> values;
    for (const PQconninfoOption* option = options.get(); option->keyword; ++option) {
        if (option->val) values[option->keyword] = option->val;
    }
    // A password with @ : or / in it makes its rest a host, port or database, which libpq's
    // messages name.
    const bool user_without_end = text_.find('@') != std::string::npos && !values.contains("user");
    if (user_without_end || values["host"].find('@') != std::string::npos ||
        values["dbname"].find('@') != std::string::npos || !is_number(values["port"])) {
        throw PostgresError(
            "not a connection URI of PostgreSQL: special characters in user or password must be percent-encoded");
    }
    const bool elsewhere = values.contains("service") || is_there("PGSERVICE");
    const bool has_mode = values.contains("sslmode") || is_there("PGSSLMODE") || elsewhere;
    const bool has_roots =
        values.contains("sslrootcert") || is_there("PGSSLROOTCERT") || elsewhere || has_root_of_its_own();
    if (!has_mode) sslmode_ = "verify-full";
    if (!has_roots && (!has_mode || values["sslmode"] == "verify-full")) sslrootcert_ = roots_of_the_system();
    shown_ = "postgresql://" + (values["user"].empty() ? "" : values["user"] + "@") + values["host"] +
             (values["port"].empty() ? "" : ":" + values["port"]) + "/" + values["dbname"];
}

void Postgres::Deleter::operator()(pg_conn* p) const noexcept { PQfinish(p); }

Postgres::Postgres(const PostgresUrl& url, std::function<bool()> give_up, const char* name)
    : give_up_(std::move(give_up)) {
    // Keys after dbname override the URL's. tcp_user_timeout: a server that vanished is noticed
    // while there is something to send.
    const std::array<const char*, 7> keys{"tcp_user_timeout", "fallback_application_name", "sslmode", "sslrootcert",
                                          "dbname",           "client_encoding",           nullptr};
    const std::array<const char*, 7> values{
        "10000", name, url.sslmode().c_str(), url.sslrootcert().c_str(), url.text().c_str(), "UTF8", nullptr};
    connection_.reset(PQconnectStartParams(keys.data(), values.data(), 1));
    if (!connection_) throw PostgresBusy("out of memory");
    const auto deadline = Clock::now() + connect_timeout;
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = PQconnectPoll(connection_.get())) {
        if (state == PGRES_POLLING_FAILED || PQstatus(connection_.get()) == CONNECTION_BAD) {
            throw PostgresBusy(one_line(PQerrorMessage(connection_.get())));
        }
        wait(state == PGRES_POLLING_READING ? For::read : For::write, deadline);
    }
    PQsetnonblocking(connection_.get(), 1);
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);  // its default is stderr
}

std::vector<Postgres::Row> Postgres::exec(const std::string& sql, const std::vector<std::string>& parameters) {
    std::vector<Row> rows;
    begin(sql, parameters);
    finish([&](Row& row) { rows.push_back(std::move(row)); });
    return rows;
}

void Postgres::each(const std::string& sql, const std::function<void(Row&)>& visit) {
    begin(sql, {});
    PQsetSingleRowMode(connection_.get());
    finish(visit);
}

void Postgres::begin(const std::string& sql, const std::vector<std::string>& parameters) {
    PGconn* const connection = connection_.get();
    std::vector<const char*> values;
    for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
    if (!PQsendQueryParams(connection, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                           nullptr, 0)) {
        throw PostgresBusy(one_line(PQerrorMessage(connection)));
    }
}

void Postgres::finish(const std::function<void(Row&)>& visit) {
    PGconn* const connection = connection_.get();
    send(Clock::now() + answer_timeout);
    std::string error;
    bool is_busy = false;
    for (;;) {
        for (const auto deadline = Clock::now() + answer_timeout; PQisBusy(connection);) {
            wait(For::read, deadline);
            if (!PQconsumeInput(connection)) throw PostgresBusy(one_line(PQerrorMessage(connection)));
        }
        const Result result(PQgetResult(connection));
        if (!result) break;
        const auto status = PQresultStatus(result.get());
        const bool is_fine = status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE || status == PGRES_COMMAND_OK;
        if (!is_fine) {
            error = one_line(PQresultErrorMessage(result.get()));
            is_busy = is_trouble_of_its_own(result.get());
        }
        for (int i = 0; i < PQntuples(result.get()); ++i) {
            Row row;
            for (int column = 0; column < PQnfields(result.get()); ++column)
                row.emplace_back(PQgetvalue(result.get(), i, column));
            visit(row);
        }
    }
    if (error.empty()) return;
    if (is_busy) throw PostgresBusy(error);
    throw PostgresError(error);
}

void Postgres::send(Clock::time_point deadline) {
    for (int left = 1; left != 0;) {
        left = PQflush(connection_.get());
        if (left < 0) throw PostgresBusy(one_line(PQerrorMessage(connection_.get())));
        if (left == 0) return;
        // The server may want to be read from before it takes more.
        wait(For::read_or_write, deadline);
        if (!PQconsumeInput(connection_.get())) throw PostgresBusy(one_line(PQerrorMessage(connection_.get())));
    }
}

void Postgres::wait(For what, Clock::time_point deadline) {
    for (;;) {
        if (give_up_()) throw PostgresBusy("given up");
        if (Clock::now() >= deadline) throw PostgresBusy("timeout expired");
        const int events = (what == For::write ? 0 : POLLIN) | (what == For::read ? 0 : POLLOUT);
        pollfd socket{.fd = PQsocket(connection_.get()), .events = static_cast<short>(events), .revents = 0};
        if (::poll(&socket, 1, static_cast<int>(poll_interval.count())) > 0) return;
    }
}

}  // namespace proxy
