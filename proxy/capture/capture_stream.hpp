// Where a capture's blocks go when a client of the console wants them itself: CopyData messages on
// its connection. One thread's, which may wait for it; nobody else does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "protocol/bytes.hpp"
#include "proxy/capture/capture_end.hpp"
#include "proxy/capture/owned_descriptor.hpp"

namespace proxy {

class CaptureStream {
   public:
    using Clock = std::chrono::steady_clock;

    /// How long a client may take nothing.
    static constexpr std::chrono::seconds patience{10};
    /// How long it may take to take the last words, at least.
    static constexpr std::chrono::seconds farewell{1};

    /// `client`: a socket, behind its CopyOutResponse. `until`: when the client is given up even if
    /// it takes a byte now and then; asked again while it is waited for.
    CaptureStream(OwnedDescriptor client, std::function<Clock::time_point()> until,
                  std::chrono::milliseconds patience_of_tests = patience);
    CaptureStream(const CaptureStream&) = delete;
    CaptureStream& operator=(const CaptureStream&) = delete;

    /// Throws CaptureOver when the client has gone, takes nothing for too long, or is given up.
    void write(protocol::Bytes blocks);
    /// Throws CaptureOver when the client has gone.
    void look();
    /// The end of the COPY; of the whole connection, for all who have it, when the client does not
    /// take that.
    void close() noexcept;
    /// What the client has of it, in whole messages.
    std::uint64_t written() const noexcept { return written_; }
    bool is_empty() const noexcept { return written_ == 0; }

   private:
    void send(protocol::Bytes bytes, Clock::time_point at_least);
    void wait_for_room(Clock::time_point moved, Clock::time_point at_least);
    void finish() noexcept;

    OwnedDescriptor client_;
    const std::function<Clock::time_point()> until_;
    const std::chrono::milliseconds patience_;
    std::uint64_t written_ = 0;
    bool broken_ = false;  // within a message, or nobody is there: nothing can follow
};

}  // namespace proxy
