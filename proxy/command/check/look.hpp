// The network's part of `pgairlock check`: one look at every address of every upstream, many at a
// time. What is seen is judged offline (judges.hpp), so that a server has no more connections than
// these: one, and one without SNI. No login is tried, and they end as a server expects.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "proxy/command/check/judges.hpp"
#include "proxy/upstream/resolver.hpp"

namespace proxy::command {

/// Told after each address that was looked at. `of`: as many as are known of by then.
using Progress = std::function<void(std::size_t done, std::size_t of)>;

/// So many addresses at a time.
inline constexpr std::size_t max_looks = 32;

/// One result for each address, or for a host that has none, in the order of the configuration.
/// Each connection has its upstream's connect_timeout. On one thread.
tls::Awaitable<std::vector<AddressResult>> look_at_all(Resolver& resolver, const std::vector<Judges>& upstreams,
                                                       const Progress& progress);

}  // namespace proxy::command
