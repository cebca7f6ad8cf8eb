// Which key exchange groups this program's OpenSSL has.
#pragma once

#include "bench/replay/tls_offer.hpp"

namespace bench::replay {

/// Each name is tried at most once in a process; not for several threads.
const KnownGroups& openssl_groups();

}  // namespace bench::replay
