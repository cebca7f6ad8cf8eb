// `pgairlock-bench serve`: the null backend on a TCP port.
#include <csignal>
#include <cstdio>

#include "bench/commands.hpp"
#include "bench/null/null_session.hpp"
#include "bench/target/workers.hpp"
#include "config/load.hpp"

namespace bench {
namespace {

using Tcp = asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<Tcp, tls::Executor>;
using Resolver = asio::ip::basic_resolver<Tcp, tls::Executor>;

/// Descriptors have run out: others may be closed meanwhile.
constexpr std::chrono::milliseconds accept_backoff{100};

/// nullptr: no certificate was given. Throws std::runtime_error with everything that is wrong with
/// it.
std::unique_ptr<tls::ListenerContext> server_context(const ServeOptions& options) {
    if (options.cert_file.empty()) return nullptr;
    const auto file = [](const std::string& path, const char* flag) {
        return config::File{.path = path, .origin = {.file = "command line", .line = 0, .column = 0, .key = flag}};
    };
    config::ListenerTls settings;
    settings.cert_file = file(options.cert_file, "--cert-file");
    settings.key_file = file(options.key_file, "--key-file");
    settings.ssl_groups = "P-256";  // PostgreSQL's ssl_ecdh_curve before version 18
    std::vector<config::Diagnostic> errors, warnings;
    auto context = std::make_unique<tls::ListenerContext>(settings, errors, warnings);
    std::string text;
    for (const config::Diagnostic& error : errors) text += (text.empty() ? "" : "\n") + to_string(error);
    if (!text.empty()) throw std::invalid_argument(text);
    return context;
}

Acceptor bind(asio::io_context& io, const config::Address& address) {
    const auto found =
        Resolver(io.get_executor()).resolve(address.host, std::to_string(address.port), Resolver::passive);
    return Acceptor(io.get_executor(), found.begin()->endpoint());
}

/// Connections go to the threads in turn: all of one measurement are alike.
tls::Awaitable<> accept_all(Acceptor& acceptor, Workers& workers, const tls::ListenerContext* tls) {
    tls::Timer backoff(acceptor.get_executor());
    for (std::size_t turn = 0;; ++turn) {
        asio::io_context& io = workers.at(turn);
        auto [error, socket] = co_await acceptor.async_accept(io, tls::returning());
        if (error) {
            backoff.expires_after(accept_backoff);
            co_await backoff.async_wait(tls::returning());
            continue;
        }
        boost::system::error_code gone_already;
        socket.set_option(Tcp::no_delay(true), gone_already);
        asio::co_spawn(io, serve_client(tls::Socket(std::move(socket)), tls), asio::detached);
    }
}

}  // namespace

int serve(const ServeOptions& options) {
    const auto address = config::parse_address(options.listen);
    if (!address || address->kind != config::Address::Kind::tcp) {
        std::fprintf(stderr, "pgairlock-bench serve: --listen %s: expected ADDR:PORT, such as 127.0.0.1:0\n",
                     options.listen.c_str());
        return exit_usage;
    }
    raise_descriptor_limit();
    try {
        const auto context = server_context(options);
        Workers workers(options.threads);  // outlives the accept that waits with a socket for one of them
        asio::io_context io(1);
        Acceptor acceptor = bind(io, *address);
        asio::signal_set signals(io, SIGTERM, SIGINT);
        signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
        asio::co_spawn(io, accept_all(acceptor, workers, context.get()), asio::detached);
        const Tcp::endpoint bound = acceptor.local_endpoint();
        std::printf(bound.address().is_v6() ? "listening on [%s]:%u\n" : "listening on %s:%u\n",
                    bound.address().to_string().c_str(), bound.port());
        std::fflush(stdout);
        io.run();
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "pgairlock-bench serve: %s\n", error.what());
        return exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pgairlock-bench serve: cannot listen on %s: %s\n", options.listen.c_str(), error.what());
        return exit_failure;
    }
    return exit_ok;
}

}  // namespace bench
