#include "proxy/admin/console_services.hpp"

#include "proxy/admin/console_error.hpp"
#include "proxy/admin/console_show.hpp"

namespace proxy {
namespace {

using protocol::ConsoleStatement;
using protocol::ErrorResponse;
using Kind = ConsoleStatement::Kind;

/// Of SQL, or of SHOW that is SQL; nullopt: it is neither.
std::optional<std::string> sql_of(const ConsoleStatement& statement, const ConsoleServices& services) {
    if (!services.sql) return std::nullopt;
    if (statement.kind == Kind::sql) return statement.text;
    if (statement.kind != Kind::show) return std::nullopt;
    const ConsoleView* const view = find_view(statement.text);
    if (!view) return std::nullopt;
    return std::string(view->query);
}

ConsoleAnswer error_alone(const ErrorResponse& why) {
    ConsoleAnswer answer{.messages = {}, .failed = true};
    append(answer.messages, why);
    return answer;
}

void append_columns(protocol::Buffer& out, const SqlResult& result) {
    std::vector<protocol::Column> columns;
    for (const SqlColumn& column : result.columns) columns.push_back({column.name, column.type});
    protocol::append_row_description(out, columns);
}

/// What was not found here may be there.
void tell_of_elsewhere(ConsoleAnswer& failed, const ConsoleServices& services) {
    if (!services.elsewhere) return;
    protocol::Buffer notices;
    append_notices(notices, services.elsewhere());
    failed.messages.insert(failed.messages.begin(), notices.begin(), notices.end());
}

ConsoleAnswer rows(const SqlQuery& query, const ConsoleStatement& statement, const ConsoleServices& services) {
    auto ran = services.sql->run(query);
    if (const auto* why = std::get_if<ErrorResponse>(&ran)) return error_alone(*why);
    auto& result = std::get<SqlResult>(ran);
    ConsoleAnswer answer;
    protocol::Buffer columns;
    append_columns(columns, result);
    answer.messages = std::move(result.rows);  // large, so that there is but one of them
    answer.messages.insert(answer.messages.begin(), columns.begin(), columns.end());
    answer.share = query.share;
    if (services.elsewhere && is_about_sessions(query.text)) append_notices(answer.messages, services.elsewhere());
    protocol::append_command_complete(answer.messages,
                                      statement.kind == Kind::show ? "SHOW" : "SELECT " + std::to_string(result.count));
    return answer;
}

/// The RowDescription that an answer begins with, alone.
ConsoleAnswer description_in(const ConsoleAnswer& answered) {
    if (answered.failed) return answered;
    ConsoleAnswer described;
    protocol::MessageBuffer buffer(answered.messages.size() + protocol::message_header_size);
    buffer.append(answered.messages);
    const auto first = buffer.next();
    if (first && first->type == 'T') {
        described.messages.assign(first->whole.begin(), first->whole.end());
    } else {
        protocol::append(described.messages, protocol::Step::no_data);
    }
    return described;
}

}  // namespace

ConsoleAnswer answer(const ConsoleStatement& statement, const ConsoleRun& run, const ConsoleAsker& asker,
                     const ConsoleServices& services) {
    if (const auto why = forbidden(statement, asker)) return error_alone(*why);
    if (const auto sql = sql_of(statement, services))
        return rows(
            {.text = *sql, .parameters = run.parameters, .user = asker.user, .stop = run.stop, .share = run.share},
            statement, services);
    if (services.sessions) {
        auto obeyed = obey(statement, asker, services.process, *services.sessions);
        if (obeyed && obeyed->failed && statement.kind == Kind::kill) tell_of_elsewhere(*obeyed, services);
        if (obeyed) return std::move(*obeyed);
    }
    return answer(statement, asker, services.captures);
}

ConsoleAnswer describe(const ConsoleStatement& statement, const ConsoleStop& stop, const ConsoleAsker& asker,
                       const ConsoleServices& services) {
    if (const auto sql = sql_of(statement, services)) {
        auto described = services.sql->describe(*sql, stop);
        if (const auto* why = std::get_if<ErrorResponse>(&described)) return error_alone(*why);
        ConsoleAnswer answer;
        append_columns(answer.messages, std::get<SqlResult>(described));
        return answer;
    }
    switch (statement.kind) {
        case Kind::show:
        case Kind::select:
        case Kind::capture_status: return description_in(answer(statement, asker, services.captures));
        case Kind::capture_start:
        case Kind::capture_stop: {  // their rows look like those of CAPTURE STATUS
            const ConsoleStatement status{.kind = Kind::capture_status};
            return description_in(answer(status, asker, services.captures));
        }
        default: {
            ConsoleAnswer nothing;
            protocol::append(nothing.messages, protocol::Step::no_data);
            return nothing;
        }
    }
}

std::vector<protocol::ColumnType> parameter_types(const ConsoleStatement& statement, const ConsoleServices& services) {
    const auto sql = sql_of(statement, services);
    if (!sql) return {};
    return services.sql->rewrite(*sql).parameters;
}

bool waits_for_disk(const ConsoleStatement& statement, const ConsoleServices& services) {
    if (statement.kind == Kind::capture_start) return true;
    const auto sql = sql_of(statement, services);
    return sql && services.sql->reads_inventory(services.sql->rewrite(*sql));
}

}  // namespace proxy
