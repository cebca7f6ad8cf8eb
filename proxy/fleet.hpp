// One inventory for many proxies: copies the SQLite file's rows to PostgreSQL.
#pragma once

#include <cstdint>

namespace proxy {

class Fleet {
   public:
    /// Rows last seen at or after `since` have changed; 0: all may have, and some are gone. From any thread.
    void changed(std::int64_t since) { (void)since; }
};

}  // namespace proxy
