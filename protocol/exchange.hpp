// Which answer belongs to which request, behind the login: simple queries, pipelines of the
// extended protocol, COPY, function calls. A server answers in the order in which it was asked, and
// after an error of the extended protocol goes on behind the next Sync.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "protocol/captured_messages.hpp"
#include "protocol/captured_statement.hpp"

namespace protocol {

class Exchange {
   public:
    /// Called for each statement that is over, in the order of their ends.
    using Sink = std::function<void(CapturedStatement&&)>;
    explicit Exchange(Sink sink) : sink_(std::move(sink)) {}

    void from_client(const CapturedMessage& message, std::uint64_t time);
    void from_server(const CapturedMessage& message, std::uint64_t time);

    /// Nothing that was asked will be answered any more, as far as can be known.
    void give_up();
    /// Requests were not seen: answers may be to any of those.
    void miss_requests() noexcept { misses_requests_ = true; }
    void see_requests() noexcept { misses_requests_ = false; }
    /// Bytes are missing while the statement in front runs.
    void missing(std::uint64_t bytes) noexcept;

    /// More was asked without an answer than is kept: the rest cannot be told apart.
    bool overflowed() const noexcept { return overflowed_; }
    /// As in the last ReadyForQuery; '\0': none yet.
    char transaction() const noexcept { return transaction_; }
    /// Of the session, not of a statement: why the server ended it.
    const std::optional<ErrorResponse>& farewell() const noexcept { return farewell_; }
    std::uint64_t notifications() const noexcept { return notifications_; }
    bool copying() const noexcept;

   private:
    struct Request {
        char type = '\0';
        CapturedStatement statement{};  // what is to be said of it, if anything
        std::uint64_t counted = 0;      // rows
        bool copies = false;
    };
    struct Prepared {
        std::string text;
        std::size_t size = 0;
    };
    struct Portal {
        std::string statement;
        Prepared text;
        bool known = false;
    };

    void parse(Reader body, std::size_t size, Request& request);
    void keep(const CapturedStatement& statement);
    void forget(const std::string& name);
    void bind(Reader body, Request& request);
    void execute(Reader body, Request& request);
    void close(Reader body);
    void data(const CapturedMessage& message, CapturedSide from, std::uint64_t time);
    void error(const CapturedMessage& message, std::uint64_t time);
    void command_complete(const CapturedMessage& message, std::uint64_t time);
    void ready(const CapturedMessage& message, std::uint64_t time);
    Request* running() noexcept;
    Request* running_or_unknown(std::uint64_t time);
    void end(Request request, CapturedStatement::Outcome outcome, std::uint64_t time);
    void skip_to_sync();
    void pop(std::uint64_t time);
    void hand_over();

    Sink sink_;
    std::deque<Request> pending_;
    std::deque<CapturedStatement> done_;  // wait for ReadyForQuery to say how the transaction is
    std::map<std::string, Prepared> prepared_;
    std::map<std::string, Portal> portals_;
    std::size_t kept_ = 0;  // memory of prepared_
    bool skipping_ = false;
    bool misses_requests_ = false;
    bool overflowed_ = false;
    char transaction_ = '\0';
    std::optional<ErrorResponse> farewell_;
    std::uint64_t notifications_ = 0;
};

}  // namespace protocol
