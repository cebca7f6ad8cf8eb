// What a replay says itself, beside what was captured: how it takes its leave, refuses a COPY that
// it has no data for, and cancels.
#pragma once

#include "bench/target/client.hpp"

namespace bench::replay {

protocol::Buffer terminate();
/// CopyFail. In the extended protocol a COPY has swallowed the Sync behind it: another one follows.
protocol::Buffer refuse_copy(bool extended);
/// By a connection of its own, with TLS as the target wants it. Waits until the server has closed
/// it. False: it could not be sent.
tls::Awaitable<bool> cancel(const Route& route, const protocol::BackendKeyData& key);

}  // namespace bench::replay
