#include <libpq-fe.h>

#include <thread>

#include "bench/connect/measure.hpp"
#include "bench/target/interrupt.hpp"

namespace bench {
namespace {

struct Finish {
    void operator()(PGconn* p) const noexcept { PQfinish(p); }
    void operator()(PGresult* p) const noexcept { PQclear(p); }
};
using Connection = std::unique_ptr<PGconn, Finish>;

/// Its messages end with a newline, and have some within.
std::runtime_error failure(Phase phase, const char* message) {
    std::string text = message;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
    }
    return std::runtime_error(std::string(to_string(phase)) + ": " + text);
}

/// The target's settings as PQconnectdbParams takes them; views into the target.
struct Parameters {
    explicit Parameters(const Target& target) {
        // Not to be compared with: a look for Kerberos tickets before the TLS handshake.
        add("gssencmode", "disable");
        for (const auto& [keyword, value] : target.settings) add(keyword.c_str(), value.c_str());
        add(nullptr, nullptr);
    }
    void add(const char* keyword, const char* value) {
        keywords.push_back(keyword);
        values.push_back(value);
    }
    std::vector<const char*> keywords;
    std::vector<const char*> values;
};

Connection open(const Parameters& parameters) {
    Connection connection(PQconnectdbParams(parameters.keywords.data(), parameters.values.data(), 0));
    if (!connection || PQstatus(connection.get()) != CONNECTION_OK)
        throw failure(Phase::total, PQerrorMessage(connection.get()));
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);  // its default is stderr
    return connection;
}

void query(PGconn* connection, const std::string& sql) {
    const std::unique_ptr<PGresult, Finish> result(PQexec(connection, sql.c_str()));
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_BAD_RESPONSE || status == PGRES_FATAL_ERROR)
        throw failure(Phase::query, PQresultErrorMessage(result.get()));
}

Phases connect_once(const Parameters& parameters, const std::string& sql, Clock::time_point due) {
    Stopwatch watch;
    watch.start(Phase::total);
    Connection connection = open(parameters);
    Phases phases;
    phases[Phase::total] = watch.stop() - due;
    if (!sql.empty()) {
        watch.start(Phase::query);
        query(connection.get(), sql);
        watch.stop();
    }
    watch.start(Phase::close);
    connection.reset();
    phases[Phase::overall] = watch.stop() - due;
    phases[Phase::query] = watch.phases()[Phase::query];
    phases[Phase::close] = watch.phases()[Phase::close];
    return phases;
}

void sleep_until(Clock::time_point when) {
    while (Clock::now() < when && !interrupted())
        std::this_thread::sleep_until(std::min(when, Clock::now() + longest_sleep));
}

void keep_connecting(const Target& target, const Workload& workload, Schedule& schedule, Measurement& into) {
    const Parameters parameters(target);
    while (!interrupted()) {
        const auto due = schedule.next(Clock::now());
        if (!due) return;
        sleep_until(*due);
        if (interrupted()) return;
        try {
            into.record(connect_once(parameters, workload.query, *due));
        } catch (const std::exception& error) {
            into.record_failure(error.what());
            sleep_until(Clock::now() + pause_after_failure);
        }
    }
}

}  // namespace

Trial try_out_libpq(const Target& target, const std::string& sql) {
    try {
        const Connection connection = open(Parameters(target));
        if (!sql.empty()) query(connection.get(), sql);
        // libpq gives its SSL away, and is linked with the same OpenSSL.
        return {.error = {}, .tls = tls_facts(static_cast<SSL*>(PQsslStruct(connection.get(), "OpenSSL")))};
    } catch (const std::exception& error) {
        return {.error = error.what()};
    }
}

Measurement measure_libpq(const Target& target, const Workload& workload) {
    const auto start = Clock::now();
    Schedule schedule(workload.load, start);
    std::vector<Measurement> parts(workload.clients);
    {
        std::vector<std::jthread> clients;
        for (Measurement& part : parts)
            clients.emplace_back([&] { keep_connecting(target, workload, schedule, part); });
    }
    Measurement whole;
    for (const Measurement& part : parts) whole.add(part);
    whole.elapsed = Clock::now() - start;
    whole.unstarted = schedule.unstarted(Clock::now());
    return whole;
}

}  // namespace bench
