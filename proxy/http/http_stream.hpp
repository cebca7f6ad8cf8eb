// An answer that goes on: pieces that are said one after the other, and sent as fast as the reader
// takes them. Who speaks never waits; who does not read is given up.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "tls/asio.hpp"

namespace proxy {

/// All on the server's thread.
class HttpStream {
   public:
    using Piece = std::shared_ptr<const std::string>;

    /// What may wait for one reader behind the piece that is sent next, in bytes: behind that it
    /// has stopped reading.
    static constexpr std::size_t max_waiting = 1024 * 1024;

    explicit HttpStream(tls::Executor executor) : news_(executor, tls::Timer::time_point::max()) {}

    /// Nothing is kept once it is over.
    void say(Piece piece);
    void say(std::string text) { say(std::make_shared<const std::string>(std::move(text))); }
    /// No more is said: by whoever speaks, or because nobody reads any more.
    void end();
    bool over() const noexcept { return over_; }

    /// The next piece; nullptr: it is over.
    tls::Awaitable<Piece> next();

   private:
    std::deque<Piece> waiting_;
    std::size_t bytes_ = 0;  // of those that wait, without the first
    bool over_ = false;
    tls::Timer news_;  // cancelled when there is something new
};

}  // namespace proxy
