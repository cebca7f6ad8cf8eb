// One connection to the console, from its opening to its end. The extended protocol is in
// console_extended.cpp, captures that are streamed in console_stream.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/framer.hpp"
#include "protocol/negotiation.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/admin/console_portals.hpp"
#include "proxy/admin/console_settings.hpp"
#include "tls/stream.hpp"

namespace proxy {

class ConsoleSession {
   public:
    struct Settings {
        std::shared_ptr<ConsoleState> state;
        Offload& starts;        ///< where captures are started, which may take long
        Offload& commands;      ///< where the rest is done
        Offload& queries;       ///< where SQL is answered
        Offload& disk_queries;  ///< where SQL is answered that reads the inventory
        ConsoleAsker asker;
        ConsoleState::Key key;  ///< of its BackendKeyData
        /// Set: what the client is told instead of being let in.
        std::optional<protocol::ErrorResponse> refusal;
        /// How long a client may say nothing while nothing is done for it.
        std::chrono::milliseconds idle_timeout = std::chrono::minutes(10);
    };

    ConsoleSession(Settings settings, tls::Socket socket);

    /// Ends with the connection, however that ends.
    tls::Awaitable<> converse();

   private:
    struct Message {
        char type = 0;
        std::string body;
    };

    tls::Awaitable<bool> open();
    tls::Awaitable<> cancel(const protocol::CancelRequest& request);
    void welcome(const protocol::StartupMessage& startup);
    tls::Awaitable<std::optional<Message>> next_message();
    tls::Awaitable<std::optional<Message>> next_message_in_time();
    tls::Awaitable<> flush();

    tls::Awaitable<> take(const Message& message);
    tls::Awaitable<> take_query(std::string_view text);
    tls::Awaitable<> take_statement(const protocol::ConsoleStatement& statement, bool is_last);
    bool take_transaction(const protocol::ConsoleStatement& statement);
    std::optional<protocol::ErrorResponse> apply_setting(const protocol::ConsoleStatement& statement);
    ConsoleRun new_run() const;
    /// nullopt: it was not done in time, or interrupted, and the client is told so.
    tls::Awaitable<std::optional<ConsoleAnswer>> work_on(const protocol::ConsoleStatement& statement,
                                                         const ConsoleRun& run, std::function<ConsoleAnswer()> work);
    void append(ConsoleAnswer answer);
    bool may_run();

    tls::Awaitable<> take_extended(const Message& message);
    tls::Awaitable<> take_describe(std::string_view body);
    tls::Awaitable<> take_execute(std::string_view body);
    tls::Awaitable<bool> run_portal(Portal& portal);
    void fail_to_sync(const protocol::ErrorResponse& why);
    void fail_to_sync_silently();

    tls::Awaitable<> stream_capture(const protocol::ConsoleStatement& start);
    tls::Awaitable<> follow_stream(std::uint64_t id);
    tls::Awaitable<bool> has_ended(std::uint64_t id);
    tls::Awaitable<> stop_capture(std::uint64_t id);
    std::chrono::steady_clock::time_point command_deadline() const;

    void fail(const protocol::ErrorResponse& error);
    void end(const char* sqlstate, const char* message);

    Settings settings_;
    tls::Stream stream_;
    const std::shared_ptr<tls::Timer> waiting_;  // for commands
    protocol::Framer framer_;
    std::vector<std::uint8_t> in_;
    protocol::Bytes unread_;           // of in_
    std::optional<Message> put_back_;  // came while a capture was written to the client, and is for afterwards
    protocol::Buffer out_;
    std::vector<std::shared_ptr<ResultShare>> shares_;  // of results in out_
    ConsoleSettings client_settings_;
    protocol::TransactionStatus transaction_ = protocol::TransactionStatus::idle;
    ConsolePortals portals_;
    bool skips_to_sync_ = false;
    bool failed_ = false;      // the query that is being answered
    bool told_ready_ = false;  // by whoever wrote the capture
    bool over_ = false;
};

/// DISCARD: what was prepared is forgotten.
bool discards(const protocol::ConsoleStatement& statement);
/// CAPTURE START ... TO STDOUT.
bool streams_to_client(const protocol::ConsoleStatement& statement);

}  // namespace proxy
