// SCRAM as its server: what each login costs once the keys are known, and what knowing them costs.
#include "protocol/scram.hpp"

#include <benchmark/benchmark.h>

#include "tls/scram_crypto.hpp"

namespace {

using protocol::ScramSalt;

const ScramSalt salt{.salt = protocol::Buffer(16, 0x5a), .iterations = protocol::default_scram_iterations};

protocol::ScramKey salted_password() {
    return tls::salted_password(protocol::as_bytes("correct horse battery staple"), salt);
}

/// SaltedPassword: PBKDF2 of 4096 iterations, on a thread of its own in the proxy.
void derive_salted_password(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(salted_password());
    }
}
BENCHMARK(derive_salted_password)->Unit(benchmark::kMicrosecond);

/// client-final-message to server-final-message, with keys that users_file had or that are cached.
void verify_client_final(benchmark::State& state) {
    const protocol::ScramCrypto& crypto = tls::scram_crypto();
    const protocol::Buffer end_point(32, 0x77);
    const protocol::ScramKey salted = salted_password();
    const protocol::ScramSecret secret = scram_secret(crypto, salted, salt);

    protocol::ScramClient client(crypto, end_point);
    protocol::ScramServer server(crypto, end_point, salt);
    char flag = 0;
    std::string server_first;
    ScramSalt heard;
    server.client_first(client.mechanism(), client.first_message(), flag, server_first);
    client.server_first(server_first, heard);
    const std::string client_final = client.final_message(scram_keys(crypto, salted));

    for (auto _ : state) {
        if (server.client_final(client_final) != protocol::Fault::none || !server.proves(secret.stored_key)) {
            return state.SkipWithError("the right password was refused");
        }
        benchmark::DoNotOptimize(server.final_message(secret.server_key));
    }
}
BENCHMARK(verify_client_final);

}  // namespace
