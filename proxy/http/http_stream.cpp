#include "proxy/http/http_stream.hpp"

namespace proxy {

void HttpStream::say(Piece piece) {
    if (over_ || piece->empty()) return;
    // The one that is sent next says nothing about its reader.
    if (!waiting_.empty()) bytes_ += piece->size();
    if (bytes_ > max_waiting) {
        end();
        return;
    }
    waiting_.push_back(std::move(piece));
    news_.cancel();
}

void HttpStream::end() {
    over_ = true;
    waiting_.clear();
    bytes_ = 0;
    news_.cancel();
}

tls::Awaitable<HttpStream::Piece> HttpStream::next() {
    while (!over_ && waiting_.empty()) co_await news_.async_wait(tls::returning());
    if (over_) co_return nullptr;
    Piece piece = std::move(waiting_.front());
    waiting_.pop_front();
    if (!waiting_.empty()) bytes_ -= waiting_.front()->size();
    co_return piece;
}

}  // namespace proxy
