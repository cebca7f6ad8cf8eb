// How a connection opens: StartupMessage, ClientHello, JA4.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>

#include "protocol/client_hello.hpp"
#include "protocol/startup.hpp"
#include "tls/certificates.hpp"

namespace {

/// libpq's, with the parameters that pgJDBC adds.
void parse_startup_message(benchmark::State& state) {
    const protocol::Buffer packet =
        serialize(protocol::StartupMessage{.version = 3 << 16,
                                           .parameters = {{"user", "orders_app"},
                                                          {"database", "orders"},
                                                          {"application_name", "billing-worker"},
                                                          {"client_encoding", "UTF8"},
                                                          {"DateStyle", "ISO"},
                                                          {"TimeZone", "Europe/Berlin"}}});
    for (auto _ : state) {
        benchmark::DoNotOptimize(protocol::parse_opening(packet));
    }
}
BENCHMARK(parse_startup_message);

protocol::Buffer client_hello() {
    std::ifstream file(PGAIRLOCK_CLIENT_HELLO, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void parse_client_hello(benchmark::State& state) {
    const protocol::Buffer message = client_hello();
    if (!protocol::parse_client_hello(message)) return state.SkipWithError("no ClientHello in " PGAIRLOCK_CLIENT_HELLO);
    for (auto _ : state) {
        benchmark::DoNotOptimize(protocol::parse_client_hello(message));
    }
}
BENCHMARK(parse_client_hello);

void ja4(benchmark::State& state) {
    const auto hello = protocol::parse_client_hello(client_hello());
    if (!hello) return state.SkipWithError("no ClientHello in " PGAIRLOCK_CLIENT_HELLO);
    const auto sha256_hex = [](std::string_view text) { return tls::sha256_hex(text.data(), text.size()); };
    for (auto _ : state) {
        benchmark::DoNotOptimize(protocol::ja4(*hello, sha256_hex));
    }
}
BENCHMARK(ja4);

}  // namespace
