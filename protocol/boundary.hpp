// Whether a session is between two messages, with nothing asked of its server: where a message of
// ours cannot come within one of the server's. Goes from header to header, a few of them for each
// read, and gives up where there are more: a stream of rows costs no more than one comparison.
//
// That the last bytes look like a ReadyForQuery proves nothing, for they may be of a row. So the
// headers are followed from the login on. Where they were given up, they are found again when a
// read that looked like a ReadyForQuery was answered by one read with whole requests, and this by
// one read with whole messages up to a ReadyForQuery.
//
// A client may ask the next thing before it has the answer to the last one: between two answers its
// server is at work. So its requests are counted, however many messages a read has, and the
// server's ReadyForQuery as long as its headers are followed: all are answered where as many have
// come. Where a client asks ahead and the headers were given up, or what comes does not add up,
// nothing is said of it any more. Requests are not counted among the rows of a COPY: where there
// are many of those, the client is found again behind the answer to what ended in CopyDone.
//
// Where nothing is known the session may still look as if it were between two messages. Then a
// message of ours may go to the server, behind whole messages of the client: it is read when all of
// them are answered.
#pragma once

#include <array>
#include <cstdint>

#include "protocol/bytes.hpp"

namespace protocol {

class Boundary {
   public:
    /// Begins behind the login's ReadyForQuery. `bytes`: of one read.
    void from_client(Bytes bytes) noexcept;
    void from_server(Bytes bytes) noexcept;

    /// As in ReadyForQuery: 'I' outside of a transaction, 'T' in one, 'E' in one that has failed.
    /// '\0': not known to be between two messages.
    char status() const noexcept { return pipelines_ || lost_ || unanswered_ > 0 ? '\0' : status_; }
    /// The same for how it looks, which may be wrong. '\0' as well while the client is within a
    /// message of its own, or nobody knows whether it is.
    char apparent_status() const noexcept {
        const bool whole = lost_ ? looks_done_ : client_missing_ == 0 && client_header_size_ == 0;
        return whole && !pipelines_ && unanswered_ == 0 ? ready_ : '\0';
    }

    /// The last error that its server reported, where its messages are followed, is 25006: it takes
    /// no writes, or not in this transaction.
    bool was_refused_to_write() const noexcept { return refused_to_write_; }
    /// The client's last message is Terminate, where its messages are followed: that the server
    /// closes then is no news of it.
    bool client_said_goodbye() const noexcept { return client_type_ == 'X'; }

   private:
    static constexpr std::size_t ready_size = 6;  // of a ReadyForQuery

    bool follow(Bytes bytes, char ready) noexcept;
    void begin_anew() noexcept;
    bool count_requests(Bytes bytes) noexcept;
    void begin_message(Bytes& bytes) noexcept;
    void take_header(Bytes header) noexcept;
    char ready_in_pieces(Bytes bytes) noexcept;

    std::array<std::uint8_t, ready_size> end_{'Z', 0, 0, 0, 5, 'I'};  // the server's last bytes
    bool refused_to_write_ = false;                                   // by the last ErrorResponse
    std::size_t missing_ = 0;                                         // of the server's message that has begun
    char status_ = 'I';
    bool framed_ = true;  // where the server's messages begin is known
    char ready_ = 'I';    // the server's last bytes are those of a ReadyForQuery that says so; '\0': they are not
    std::array<std::uint8_t, 5> client_header_{};
    std::uint8_t client_header_size_ = 0;  // as much of the header as has come; 0 once it is whole
    char client_type_ = '\0';              // of the client's message that has begun
    std::size_t client_missing_ = 0;       // of that
    std::uint32_t unanswered_ = 0;         // requests; where framed_ is false one at most
    bool pipelines_ = false;               // it asks ahead, and nobody knows how many are unanswered
    bool lost_ = false;                    // where the client's messages begin is not known
    bool looks_done_ = false;              // then: its last bytes are those of a CopyDone or Sync
    bool asked_ = false;                   // since then one read with whole requests has come, and nothing else
};

}  // namespace protocol
