// Where a capture's blocks go when a client of the console wants them itself: CopyData messages on
// its connection. One thread's, which may wait for it; nobody else does.
#pragma once

#include <chrono>
#include <cstdint>

#include "protocol/bytes.hpp"
#include "proxy/capture/capture_end.hpp"

namespace proxy {

class CaptureStream {
   public:
    /// How long a client may take nothing.
    static constexpr std::chrono::seconds patience{10};

    /// `fd`: a socket, behind its CopyOutResponse; ours from now on.
    explicit CaptureStream(int fd, std::chrono::milliseconds patience_of_tests = patience);
    ~CaptureStream();
    CaptureStream(const CaptureStream&) = delete;
    CaptureStream& operator=(const CaptureStream&) = delete;

    /// Throws CaptureOver when the client has gone, or takes nothing for too long.
    void write(protocol::Bytes blocks);
    /// Throws CaptureOver when the client has gone.
    void look();
    /// The end of the COPY; of the whole connection, for all who have it, when the client does not
    /// take that.
    void close() noexcept;
    std::uint64_t written() const noexcept { return written_; }

   private:
    void send(protocol::Bytes bytes);
    void finish() noexcept;

    int fd_;
    const std::chrono::milliseconds patience_;
    std::uint64_t written_ = 0;
    bool broken_ = false;
};

}  // namespace proxy
