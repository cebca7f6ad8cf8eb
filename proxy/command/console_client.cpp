#include "proxy/command/console_client.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace proxy::command {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* connect_timeout = "10";
/// More than the console takes for a command.
constexpr auto answer_timeout = 40s;
constexpr std::string_view socket_name = ".s.PGSQL.";
constexpr unsigned int8_oid = 20;

struct ResultDeleter {
    void operator()(PGresult* p) const noexcept { PQclear(p); }
};
using Result = std::unique_ptr<PGresult, ResultDeleter>;

/// libpq's messages end with a newline, and have some within.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
    }
    return text;
}

std::string absolute_path(std::string path) {
    constexpr std::string_view scheme = "unix:";
    if (path.starts_with(scheme)) path.erase(0, scheme.size());
    path = std::filesystem::absolute(path).lexically_normal().string();
    // What is no socket by its name is a folder, also where it cannot be looked into: that one may
    // not, or that it is not there, is then said of the connection.
    const std::filesystem::path given(path);
    std::error_code none;
    using Type = std::filesystem::file_type;
    const Type type = std::filesystem::status(given, none).type();
    const bool is_unseen = type == Type::none || type == Type::not_found;
    const bool is_socket = given.filename().string().starts_with(socket_name);
    return type == Type::directory || (is_unseen && !is_socket) ? (given / ".s.PGSQL.6434").string() : path;
}

/// errno of a connection to it; 0: there is somebody.
int connection_error(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) return ENAMETOOLONG;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const int error = ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
    ::close(fd);
    return error;
}

/// Why nobody answers, and what to do; `otherwise`: what libpq says.
std::string why_unreachable(const std::string& path, const std::string& otherwise) {
    switch (const int error = connection_error(path)) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
            return "nobody listens on " + path +
                   ": is pgairlock running with [admin] console? --config or --console says where";
        case EACCES:
        case EPERM:
            return "permission denied for " + path + ": run this as root or as pgairlock's user, or name uid " +
                   std::to_string(::geteuid()) +
                   " in admin.console_uids and put admin.console into a folder that it may enter";
        case ENAMETOOLONG: return path + ": too long for a UNIX-domain socket: set admin.console to a shorter path";
        case 0: return otherwise;
        default: return path + ": " + std::strerror(error);
    }
}

/// What the console said, with its hint.
ConsoleError refusal(const PGresult* result) {
    const auto field = [&](int code) {
        const char* const text = PQresultErrorField(result, code);
        return std::string(text ? text : "");
    };
    const std::string message = field(PG_DIAG_MESSAGE_PRIMARY), hint = field(PG_DIAG_MESSAGE_HINT);
    if (message.empty()) return {one_line(PQresultErrorMessage(result))};
    return {message + (hint.empty() ? "" : ". " + hint), field(PG_DIAG_SQLSTATE)};
}

}  // namespace

std::string ConsoleTable::value(std::size_t row, std::string_view column) const {
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const Column& one) { return one.name == column; });
    if (found == columns.end()) throw ConsoleError("the console's answer has no " + std::string(column));
    return rows.at(row).at(static_cast<std::size_t>(found - columns.begin())).value_or("");
}

void ConsoleClient::Deleter::operator()(pg_conn* p) const noexcept { PQfinish(p); }

ConsoleClient::ConsoleClient(std::string path) : path_(absolute_path(std::move(path))) {
    const std::filesystem::path socket(path_);
    const std::string folder = socket.parent_path().string(), name = socket.filename().string();
    if (!name.starts_with(socket_name))
        throw ConsoleError(path_ + " is no console: its name is .s.PGSQL.PORT, as libpq wants it");
    const std::string port = name.substr(socket_name.size());
    // Whatever libpq's variables say of other servers. The user is the one that the kernel names.
    const std::array keys{"host",
                          "port",
                          "dbname",
                          "user",
                          "sslmode",
                          "gssencmode",
                          "client_encoding",
                          "connect_timeout",
                          "options",
                          "target_session_attrs",
                          "fallback_application_name",
                          static_cast<const char*>(nullptr)};
    const std::array values{
        folder.c_str(), port.c_str(),    "pgairlock", "pgairlock", "disable",   "disable",
        "UTF8",         connect_timeout, "",          "any",       "pgairlock", static_cast<const char*>(nullptr)};
    connection_.reset(PQconnectdbParams(keys.data(), values.data(), 0));
    if (!connection_) throw ConsoleError("out of memory");
    if (PQstatus(connection_.get()) != CONNECTION_OK)
        throw ConsoleError(why_unreachable(path_, one_line(PQerrorMessage(connection_.get()))));
    PQsetNoticeReceiver(connection_.get(), take_notice, this);
}

void ConsoleClient::take_notice(void* self, const pg_result* notice) {
    const char* const text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    const auto& told = static_cast<ConsoleClient*>(self)->on_notice;
    if (text && told) told(text);
}

ConsoleTable ConsoleClient::query(const std::string& sql, std::chrono::seconds patience) {
    send(sql);
    ConsoleTable table;
    std::optional<ConsoleError> refused;
    for (const auto deadline = Clock::now() + patience;;) {
        wait_for_answer(deadline);
        const Result result(PQgetResult(connection_.get()));
        if (!result) break;
        const auto status = PQresultStatus(result.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) refused = refusal(result.get());
        if (status != PGRES_TUPLES_OK) continue;
        for (int i = 0; i < PQnfields(result.get()); ++i)
            table.columns.push_back({PQfname(result.get(), i), PQftype(result.get(), i) == int8_oid});
        for (int row = 0; row < PQntuples(result.get()); ++row) {
            table.rows.emplace_back();
            for (int i = 0; i < PQnfields(result.get()); ++i) {
                const bool is_null = PQgetisnull(result.get(), row, i) != 0;
                table.rows.back().push_back(is_null ? std::nullopt
                                                    : std::optional<std::string>(PQgetvalue(result.get(), row, i)));
            }
        }
    }
    if (refused) throw ConsoleError(*refused);
    return table;
}

void ConsoleClient::begin_stream(const std::string& sql) {
    send(sql);
    wait_for_answer(Clock::now() + answer_timeout);
    const Result result(PQgetResult(connection_.get()));
    if (PQresultStatus(result.get()) == PGRES_COPY_OUT) return;
    if (result) throw ConsoleError(refusal(result.get()));
    fail();
}

ConsoleClient::Piece ConsoleClient::next_piece() {
    if (!PQconsumeInput(connection_.get())) fail();
    char* bytes = nullptr;
    const int n = PQgetCopyData(connection_.get(), &bytes, 1);
    if (n > 0) {
        Piece piece{.bytes = std::string(bytes, static_cast<std::size_t>(n)), .over = false};
        PQfreemem(bytes);
        return piece;
    }
    if (n == 0) return {};
    if (n == -2) fail();
    wait_for_answer(Clock::now() + answer_timeout);
    const Result result(PQgetResult(connection_.get()));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw ConsoleError(refusal(result.get()));
    return {.bytes = {}, .over = true};
}

int ConsoleClient::socket() const noexcept { return PQsocket(connection_.get()); }

void ConsoleClient::cancel() {
    const std::unique_ptr<PGcancel, void (*)(PGcancel*)> request(PQgetCancel(connection_.get()), PQfreeCancel);
    std::array<char, 256> why{};
    if (!request || !PQcancel(request.get(), why.data(), why.size()))
        throw ConsoleError("cannot end the capture: " + one_line(why.data()));
}

void ConsoleClient::send(const std::string& sql) {
    if (!PQsendQuery(connection_.get(), sql.c_str())) fail();
}

/// Until PQgetResult would not block.
void ConsoleClient::wait_for_answer(Clock::time_point deadline) {
    while (PQisBusy(connection_.get())) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd socket{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&socket, 1, static_cast<int>(std::max(left, 0ms).count()));
        if (ready == 0) throw ConsoleError("the console does not answer");
        if (ready > 0 && !PQconsumeInput(connection_.get())) fail();
    }
}

void ConsoleClient::fail() const { throw ConsoleError(one_line(PQerrorMessage(connection_.get()))); }

}  // namespace proxy::command
