// What is tried next to get a client its server connection: a connection that is ready, then hosts
// and addresses in order, encrypted or in clear as libpq's sslmode has it. An address that is
// silent is not waited for alone: the next one of its host begins beside it (RFC 8305). A list of
// answers to "what should we do next?"; whoever does the I/O obeys and reports back with the member
// function named at each answer. Knows no socket, and no clock but its arguments.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "protocol/sslmode.hpp"
#include "proxy/observation/reason.hpp"
#include "tls/handshake.hpp"
#include "tls/verify_advice.hpp"

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
        unwanted,      // it serves, but target_session_attrs wants another kind of server
    };
    Kind kind = Kind::unreachable;
    std::string error;
    std::optional<tls::VerifyFailure> verify{};  ///< set when a certificate was refused
    tls::Advice advice{};                        ///< what is known of the cause; often nothing
    std::string host{};
    std::string address{};
    bool is_ours = false;   ///< we had no descriptor, no memory or no time: it says nothing of the server
    bool in_login = false;  ///< it was connected to: who does no more than that does not see it

    Reason reason() const noexcept;
};

/// More methods than most classes have: one for each thing that may be reported.
class Attempts {
   public:
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Plan {
        protocol::SslMode sslmode{};
        std::size_t hosts = 0;
        bool prewarmed = false;  ///< a connection that is ready may be taken first
        /// prefer-standby walks along the hosts twice, the second time for any.
        config::TargetSessionAttrs wanted = config::TargetSessionAttrs::any;
        bool may_wait = false;  ///< for a host that serves: the last one's 57P03 is kept from the client, too
        TimePoint deadline{};   ///< no address is tried any more after this
    };
    explicit Attempts(const Plan& plan);

    enum class Next {
        take_prewarmed,  // ask for a connection that is ready: took_prewarmed()
        resolve,         // look up the host with number host(): resolved(), failed(), or
                         // tried_by_other_names(); not_tried() when the deadline is over
        connect,         // begin TCP to its address with number address(), beside what has begun: began(),
                         // and not_reached() when that is not even possible
        wait,            // for those that have begun: reached(), not_reached(), or when may_begin_next(),
                         // once the last one has been silent for a while, silent()
        establish,       // leave the others; with encryption() to address(): connected(), or failed()
        log_in,          // through that connection: refused() when may_retry() the server's first word,
                         // which is then kept from the client. When it closes without a word:
                         // closed_unanswered(). When it says nothing in time: unanswered()
        give_up,         // there is no connection: failure() and errors()
    };
    Next next() const noexcept { return next_; }

    std::size_t host() const noexcept { return host_; }
    std::size_t address() const noexcept { return next_ == Next::connect ? left_.front() : address_; }
    Encryption encryption() const noexcept { return order_[mode_]; }
    bool may_begin_next() const noexcept { return !left_.empty(); }
    /// The kind of server that is wanted on this walk along the hosts.
    config::TargetSessionAttrs wanted() const noexcept { return walks_left_ > 0 ? wanted_ : last_wanted(); }
    /// How many walks have begun: on each the hosts may come in another order.
    unsigned walk() const noexcept { return walk_; }
    /// Whether anything is left to try on this walk beside the connection at log_in.
    bool has_more() const noexcept { return prewarmed_ || !left_.empty() || host_ + 1 < hosts_; }
    /// Whether something else is tried when the server refuses the login at once, with this
    /// SQLSTATE.
    bool may_retry(std::string_view sqlstate) const noexcept;

    void took_prewarmed(bool ready) noexcept;
    void resolved(std::size_t addresses, TimePoint now);
    void began();
    void silent(TimePoint now);
    void not_reached(std::size_t address, AttemptFailure failure, TimePoint now);
    void reached(std::size_t address);
    void failed(AttemptFailure failure, TimePoint now);
    /// No fault of the host's: it is told beside the failures, and is none itself.
    void not_tried(const std::string& address, std::string_view why);
    /// Other names have led to all of its addresses on this walk: nothing is told of it.
    void tried_by_other_names() { next_host(); }
    /// `got`: a server that was asked for TLS may have said 'N' where sslmode allows clear text.
    /// False: it is not to be used, because suspicious bytes came before; next() goes on.
    bool connected(Encryption got, const std::string& address, TimePoint now);
    void refused(std::string_view sqlstate, AttemptFailure refusal);
    /// The login has succeeded, at a server of another kind than is wanted.
    void unwanted(AttemptFailure failure, TimePoint now);
    /// True: the server had left before it was asked, and next() goes on. False: that is how this
    /// login ends.
    bool closed_unanswered(TimePoint now);
    void unanswered(AttemptFailure failure, TimePoint now);

    /// The failure that an operator must know of: a refused certificate, whatever other addresses
    /// said; else the last.
    const AttemptFailure& failure() const noexcept { return worst_; }
    /// Every attempt with this encryption, "; " between them.
    const std::string& errors() const noexcept { return errors_; }
    /// How many came to nothing, of all kinds, silent ones included.
    unsigned failed_attempts() const noexcept { return failed_attempts_; }

   private:
    struct Begun {
        std::size_t address;
        bool silent;
    };

    void begin(std::size_t mode);
    void begin_walk();
    config::TargetSessionAttrs last_wanted() const noexcept {
        using config::TargetSessionAttrs;
        return wanted_ == TargetSessionAttrs::prefer_standby ? TargetSessionAttrs::any : wanted_;
    }
    void note(AttemptFailure failure);
    void go_on(TimePoint now);
    void next_host();
    bool another_mode() const noexcept { return mode_ + 1 < order_.size(); }

    const std::vector<Encryption> order_;
    const std::size_t hosts_;
    const TimePoint deadline_;
    const config::TargetSessionAttrs wanted_;
    const bool may_wait_;
    bool out_of_time_ = false;  // nothing is tried anew
    unsigned walks_left_ = 0;
    unsigned walk_ = 0;
    Next next_ = Next::take_prewarmed;
    std::size_t mode_ = 0;
    std::size_t host_ = 0;
    std::size_t address_ = 0;
    std::deque<std::size_t> left_;  // addresses of the host that have not begun
    std::vector<Begun> begun_;
    unsigned failed_attempts_ = 0;
    bool may_retry_ = false;   // with the other encryption
    bool prewarmed_ = false;   // the connection at log_in is one that was ready
    bool suspicious_ = false;  // some address was: nothing goes in clear any more
    bool tls_works_ = false;   // a host was reached over TLS
    AttemptFailure worst_;
    std::string errors_;
};

}  // namespace proxy
