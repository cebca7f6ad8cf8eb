// What is tried next to get a client its server connection: a connection that is ready, then hosts
// and addresses in order, encrypted or in clear as libpq's sslmode has it. A list of answers to
// "what should we do next?"; whoever does the I/O obeys and reports back with the member function
// named at each answer. Knows no socket, and no clock but its arguments.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "protocol/sslmode.hpp"
#include "proxy/observation/reason.hpp"
#include "tls/handshake.hpp"

namespace proxy {

enum class Encryption { tls, clear };

/// In which order an sslmode asks for them, as libpq does.
std::vector<Encryption> encryption_order(protocol::SslMode mode);

/// Why one address did not serve.
struct AttemptFailure {
    enum class Kind {
        unreachable,   // nobody answered, or not in time: with or without TLS makes no difference
        not_accepted,  // reached, but not as sslmode demands: a certificate, a version, an 'N'
        suspicious,    // bytes that no honest server sends: clear text must not be tried after them
    };
    Kind kind = Kind::unreachable;
    std::string error;
    std::optional<tls::VerifyFailure> verify{};  ///< set when a certificate was refused
    std::string host{};
    std::string address{};

    Reason reason() const noexcept;
};

class Attempts {
   public:
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Plan {
        protocol::SslMode sslmode{};
        std::size_t hosts = 0;
        bool prewarmed = false;  ///< a connection that is ready may be taken first
        TimePoint deadline{};    ///< no address is tried any more after this
    };
    explicit Attempts(const Plan& plan);

    enum class Next {
        take_prewarmed,  // ask for a connection that is ready: took_prewarmed()
        resolve,         // look up the host with number host(): resolved(), or failed()
        connect,         // to its address with number address(), with encryption(): connected(), or failed()
        log_in,          // through that connection. When may_retry(), keep the server's refusal from the
                         // client: refused(). When it closes without a word: closed_unanswered()
        give_up,         // there is no connection: failure() and errors()
    };
    Next next() const noexcept { return next_; }

    std::size_t host() const noexcept { return host_; }
    std::size_t address() const noexcept { return address_; }
    Encryption encryption() const noexcept { return order_[mode_]; }
    bool may_retry() const noexcept { return may_retry_; }

    void took_prewarmed(bool ready) noexcept;
    void resolved(std::size_t addresses, TimePoint now);
    void failed(AttemptFailure failure, TimePoint now);
    /// `got`: a server that was asked for TLS may have said 'N' where sslmode allows clear text.
    /// False: it is not to be used, because suspicious bytes came before; next() goes on.
    bool connected(Encryption got, const std::string& address, TimePoint now);
    void refused();
    /// The server closed before it said a word. True: it had left before it was asked, and next()
    /// goes on. False: that is how this login ends.
    bool closed_unanswered(TimePoint now);

    /// The failure that an operator must know of: a refused certificate, whatever other addresses
    /// said; else the last.
    const AttemptFailure& failure() const noexcept { return worst_; }
    /// Every attempt with this encryption, "; " between them.
    const std::string& errors() const noexcept { return errors_; }

   private:
    void begin(std::size_t mode);
    void go_to_address(std::size_t address, TimePoint now);
    bool another_mode() const noexcept { return mode_ + 1 < order_.size(); }

    const std::vector<Encryption> order_;
    const std::size_t hosts_;
    const TimePoint deadline_;
    Next next_ = Next::take_prewarmed;
    std::size_t mode_ = 0;
    std::size_t host_ = 0;
    std::size_t address_ = 0;
    std::size_t addresses_ = 0;
    bool may_retry_ = false;
    bool prewarmed_ = false;   // the connection at log_in is one that was ready
    bool suspicious_ = false;  // some address was: nothing goes in clear any more
    AttemptFailure worst_;
    std::string errors_;
};

}  // namespace proxy
