// The console: whoever connects to its socket speaks PostgreSQL's protocol, as psql does, to ask
// what runs and to command it. Who may is told by the kernel; there are no passwords.
//
// It lives on the control thread, beside accepting and signals, so nothing in it waits but in
// coroutines: what commands do is done on threads of its own.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "config/config.hpp"
#include "proxy/admin/console_running.hpp"
#include "proxy/admin/console_services.hpp"
#include "proxy/upstream/offload.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// What its sessions have in common.
struct ConsoleState {
    ConsoleServices services;

    std::shared_ptr<ResultStock> results = std::make_shared<ResultStock>();

    /// What a CancelRequest with a session's key ends: the capture that writes to it, or the
    /// question that is answered for it.
    struct Key {
        std::uint32_t pid = 0;
        std::uint32_t key = 0;
        auto operator<=>(const Key&) const = default;
    };
    std::map<Key, std::uint64_t> streams;
    std::map<Key, std::shared_ptr<RunningQuery>> queries;
};

/// Who is connected.
struct ConsolePlaces {
    struct Place {
        uid_t uid = 0;
        ConsoleRight right = ConsoleRight::none;  ///< none: is told why not
    };
    std::list<Place> taken;
};

class Console {
   public:
    /// Connections of those who may, and of those among them who may only read, so that there is a
    /// place for who commands; of one user, unless it is root or our own; and of others, who are
    /// told why not.
    static constexpr unsigned max_sessions = 32;
    static constexpr unsigned max_readers = 24;
    static constexpr unsigned max_of_one_user = 8;
    static constexpr unsigned max_refusals = 8;

    Console(tls::Executor executor, ConsoleServices services);
    /// Questions are given up, and no command is waited for any more; one that hangs is left behind
    /// (Offload). To be called before the executor ends, and before what the services use.
    void close();

    /// Who may do what from now on; sessions go on with what they began with.
    void allow(const config::Admin& admin) { admin_ = admin; }
    /// Takes an accepted connection over, unless it throws.
    void take(int fd);

   private:
    std::optional<protocol::ErrorResponse> why_not(std::optional<uid_t> uid, ConsoleRight right) const;

    tls::Executor executor_;
    config::Admin admin_;
    std::shared_ptr<ConsoleState> state_;
    std::shared_ptr<ConsolePlaces> places_ = std::make_shared<ConsolePlaces>();  // sessions end later than we do
    std::uint32_t next_pid_ = 1;
    Offload starts_{2};    // make files, on a disk that may hang
    Offload commands_{1};  // wait for no disk
    Offload queries_{1};   // nor do these, and take some seconds at most
    Offload disk_queries_{1};
    Offload reader_queries_{1};  // of those who may only read: whoever commands does not wait for them
    Offload reader_disk_queries_{1};
};

}  // namespace proxy
