// All that the console answers from and by: captures, SQL, the process itself.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/console_commands.hpp"
#include "proxy/admin/console_control.hpp"
#include "proxy/admin/console_elsewhere.hpp"
#include "proxy/admin/sql_database.hpp"

namespace proxy {

/// Values of a statement's parameters, as texts; nullopt: NULL.
using ConsoleParameters = std::vector<std::optional<std::string>>;

/// Each member outlives the console, but what it shares.
struct ConsoleServices {
    CaptureControl captures;
    ProcessControl process{};
    const LiveSessions* sessions = nullptr;  ///< nullptr: there is no process to command and nothing to ask of
    std::shared_ptr<const SqlDatabase> sql{};
    /// From any thread; empty: every session is in `sessions`.
    std::function<std::vector<SessionsElsewhere>()> elsewhere{};
};

/// true: nobody waits for the answer any more. nullptr: somebody always does.
using ConsoleStop = std::shared_ptr<std::atomic<bool>>;

/// What a statement is run with, besides who asks.
struct ConsoleRun {
    ConsoleParameters parameters{};
    ConsoleStop stop{};
    std::shared_ptr<ResultShare> share{};  ///< nullptr: the answer is counted by nobody
};

/// What a statement is answered with that is no transaction's. Slow.
ConsoleAnswer answer(const protocol::ConsoleStatement& statement, const ConsoleRun& run, const ConsoleAsker& asker,
                     const ConsoleServices& services);

/// Of the columns that it would give: a RowDescription, or NoData. An ErrorResponse where it could
/// not be answered at all. Changes nothing.
ConsoleAnswer describe(const protocol::ConsoleStatement& statement, const ConsoleStop& stop, const ConsoleAsker& asker,
                       const ConsoleServices& services);

/// Of the types of its parameters.
std::vector<protocol::ColumnType> parameter_types(const protocol::ConsoleStatement& statement,
                                                  const ConsoleServices& services);
/// Whether it may wait for a disk, so that others must not wait for it.
bool waits_for_disk(const protocol::ConsoleStatement& statement, const ConsoleServices& services);

}  // namespace proxy
