// Messages out of a stream of bytes, as the login does it.
#include <benchmark/benchmark.h>

#include "protocol/messages.hpp"

namespace {

/// What a server says after the password: ParameterStatus as PostgreSQL 15 sends them, key,
/// ReadyForQuery.
protocol::Buffer end_of_login() {
    protocol::Buffer out;
    protocol::Writer writer(out);
    const auto message = [&](char type, std::string_view body) {
        writer.u8(static_cast<std::uint8_t>(type));
        writer.u32(static_cast<std::uint32_t>(body.size() + 4));
        writer.bytes(protocol::as_bytes(body));
    };
    using namespace std::string_view_literals;
    message('R', "\0\0\0\0"sv);
    for (const auto setting :
         {"in_hot_standby\0off\0"sv, "integer_datetimes\0on\0"sv, "TimeZone\0Europe/Berlin\0"sv,
          "IntervalStyle\0postgres\0"sv, "is_superuser\0off\0"sv, "application_name\0billing-worker\0"sv,
          "default_transaction_read_only\0off\0"sv, "scram_iterations\0004096\0"sv, "DateStyle\0ISO, MDY\0"sv,
          "standard_conforming_strings\0on\0"sv, "session_authorization\0orders_app\0"sv, "client_encoding\0UTF8\0"sv,
          "server_version\00015.20\0"sv, "server_encoding\0UTF8\0"sv}) {
        message('S', setting);
    }
    message('K', "\0\0\20\1\1\2\3\4"sv);
    message('Z', "I"sv);
    return out;
}

/// The argument: how many bytes arrive at a time.
void frame_messages(benchmark::State& state) {
    const protocol::Buffer bytes = end_of_login();
    const auto piece = static_cast<std::size_t>(state.range(0));
    std::size_t messages = 0;
    for (auto _ : state) {
        protocol::MessageBuffer buffer(10'000);
        for (protocol::Bytes rest = bytes; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
            buffer.append(rest.first(std::min(piece, rest.size())));
            while (const auto message = buffer.next()) {
                benchmark::DoNotOptimize(message->body.data());
                ++messages;
            }
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(messages));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(frame_messages)->Arg(8192)->Arg(64)->Arg(1);

}  // namespace
