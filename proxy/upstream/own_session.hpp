// A session of our own at a server, for short questions. Its connection is one of Connector's, so
// it is encrypted and verified as every client's is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/own_login.hpp"
#include "protocol/simple_query.hpp"
#include "proxy/upstream/derived_keys.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {

/// Who logs in.
struct OwnCredentials {
    std::string user;
    std::string database;
    std::string application_name;
    protocol::Buffer password;  ///< empty: none
};

class OwnSession {
   public:
    using Clock = std::chrono::steady_clock;
    using Failure = std::optional<protocol::OwnFailure>;

    explicit OwnSession(VerifiedConnection connection);

    /// Up to ReadyForQuery. `keys`: of the same password; nullptr: the key is derived on this
    /// thread, which takes about a millisecond for each 4096 iterations that the server names.
    /// nullopt: the session is there. After a failure it is of no more use.
    tls::Awaitable<Failure> log_in(OwnCredentials who, protocol::SslMode sslmode, Clock::time_point deadline,
                                   DerivedKeys* keys = nullptr);

    struct Answer {
        std::vector<protocol::TextRow> rows;
        Failure failure;
    };
    /// `sql`: one statement. Not while another one is asked. After a failure that is not the
    /// statement's alone the session is over.
    tls::Awaitable<Answer> ask(std::string_view sql, protocol::AnswerBounds bounds, Clock::time_point deadline);
    /// May be asked.
    bool is_open() const noexcept { return open_; }

    /// Tells the server, and waits for its close, for two seconds at most.
    tls::Awaitable<> leave();
    /// At once; ends every wait.
    void close() noexcept { stream_->close(); }

    /// What the server reported at the login.
    protocol::HostRole told_role() const noexcept { return told_role_; }
    const Reached& reached() const noexcept { return reached_; }

   private:
    tls::Awaitable<protocol::OwnFailure> converse(protocol::OwnLogin& login, Clock::time_point deadline,
                                                  DerivedKeys* keys);
    tls::Awaitable<bool> hear();

    const std::unique_ptr<tls::Stream> stream_;
    const Reached reached_;
    protocol::MessageBuffer from_server_;
    bool open_ = false;
    protocol::HostRole told_role_ = protocol::HostRole::unknown;
};

}  // namespace proxy
