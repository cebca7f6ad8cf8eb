#include <cstdio>
#include "bench/client.hpp"
#include "bench/commands.hpp"
namespace bench {
namespace {
tls::Awaitable<> once(const Route& route, const std::string& sql) {
    Client client = co_await Client::open(route, Clock::now());
    co_await client.query(sql);
    co_await client.close();
    for (const Phase phase : all_phases) if (client.phases()[phase]) std::printf("%s %ld\n", to_string(phase).data(), (long)client.phases()[phase]->count()/1000);
}
}
int connect(const ConnectOptions& options) {
    for (auto& t : options.targets) {
        const Route route(parse_target(t, options.defaults));
        asio::io_context io;
        asio::co_spawn(io, once(route, options.query), [](std::exception_ptr e) { if (e) try { std::rethrow_exception(e); } catch (const std::exception& x) { std::puts(x.what()); } });
        io.run();
    }
    return 0;
}
}
