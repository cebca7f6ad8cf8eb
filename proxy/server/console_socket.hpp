// Where the console is reached: its UNIX-domain socket. Nothing that is wrong with it keeps the
// proxy from serving.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "proxy/admin/console.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/upstream/offload.hpp"

namespace proxy {

class ConsoleSocket {
   public:
    ConsoleSocket(asio::io_context& io, ConsoleServices services);
    ~ConsoleSocket() { close(); }

    /// Behind the path of a process whose place another has taken.
    static std::string suffix_of(pid_t pid) { return "." + std::to_string(pid); }

    /// What keeps it from being there is logged: as an error, unless it is the default one.
    void open(const config::Admin& admin, const std::string& state_dir) noexcept;
    /// Its path is another process's from now on; this one is reached at that with `suffix` behind
    /// it. False: it could not be renamed.
    bool move_aside(const std::string& suffix) noexcept;
    /// The path is ours again.
    void move_back() noexcept;
    /// Who may do what from now on.
    void allow(const config::Admin& admin) noexcept;
    /// To be called before the io_context ends.
    void close();

   private:
    bool make_folder(const std::string& path, const config::Admin& admin, const std::string& state_dir);

    asio::io_context& io_;
    Console console_;
    std::string path_;   // empty: there is none
    std::string aside_;  // where it is after move_aside()
    bool is_our_folder_ = false;
    std::shared_ptr<Listener> socket_;
    Offload files_{1};  // a reload's changes to folder and socket, on a disk that may hang
};

}  // namespace proxy
