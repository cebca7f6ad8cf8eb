// Who has sessions open: a source that has is not probed, because its next connection may bring a
// CancelRequest, which a refused probe would cost.
//
// The processes of connections are found some milliseconds after accept. A session whose process is
// not known counts for every source at its address until it is.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/observation/client_identity.hpp"
#include "proxy/observation/process_owner.hpp"

namespace proxy {

class OpenSessions {
    struct Entry {
        ClientOrigin source;
        std::shared_ptr<const ProcessOwner> process;
        bool closed = false;
    };

   public:
    /// One session, for as long as this lives. The OpenSessions outlives it.
    class Token {
       public:
        Token() = default;
        Token(Token&& other) noexcept = default;
        Token& operator=(Token&& other) noexcept;
        ~Token() { release(); }

       private:
        friend class OpenSessions;
        Token(OpenSessions& sessions, std::shared_ptr<Entry> entry) : sessions_(&sessions), entry_(std::move(entry)) {}
        void release() noexcept;

        OpenSessions* sessions_ = nullptr;
        std::shared_ptr<Entry> entry_;
    };

    /// `process`: nullptr: not of this host, or not known.
    Token opened(const ClientOrigin& source, std::shared_ptr<const ProcessOwner> process);
    /// That source has one, or may have.
    bool has(const ClientOrigin& source);

   private:
    void closed(Entry& entry) noexcept;
    void take_processes();

    std::mutex mutex_;
    std::map<ClientOrigin, std::size_t> open_;
    std::vector<std::shared_ptr<Entry>> searching_;  // whose processes were still being looked for
};

}  // namespace proxy
