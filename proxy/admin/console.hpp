// The console: whoever connects to its socket speaks PostgreSQL's protocol, as psql does, to ask
// what runs and to command it. Who may is told by the kernel; there are no passwords.
//
// It lives on the control thread, beside accepting and signals, so nothing in it waits but in
// coroutines: what commands do is done on threads of its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "config/config.hpp"
#include "proxy/admin/console_commands.hpp"
#include "proxy/upstream/offload.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// What its sessions have in common.
struct ConsoleState {
    CaptureControl captures;

    /// Which capture writes to which session: what a CancelRequest with that session's key ends.
    struct Key {
        std::uint32_t pid = 0;
        std::uint32_t key = 0;
        auto operator<=>(const Key&) const = default;
    };
    std::map<Key, std::uint64_t> streams;
};

class Console {
   public:
    /// Connections of those who may; and of others, who are told why not.
    static constexpr unsigned max_sessions = 32;
    static constexpr unsigned max_refusals = 8;

    Console(tls::Executor executor, CaptureControl captures);
    /// No command is waited for any more. To be called before the executor ends.
    void close() { commands_.close(); }

    /// Who may do what from now on; sessions go on with what they began with.
    void allow(const config::Admin& admin) { admin_ = admin; }
    /// Takes an accepted connection over, unless it throws.
    void take(int fd);

   private:
    struct Counts {
        unsigned sessions = 0;
        unsigned refusals = 0;
    };

    tls::Executor executor_;
    config::Admin admin_;
    std::shared_ptr<ConsoleState> state_;
    std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();  // sessions end later than we do
    std::uint32_t next_pid_ = 1;
    Offload commands_{2};  // one that hangs does not keep the others
};

}  // namespace proxy
