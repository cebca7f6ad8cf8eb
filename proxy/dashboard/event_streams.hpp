// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): what is said
// goes to all who read. All on the server's thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/http/http_message.hpp"
#include "proxy/http/http_stream.hpp"

namespace proxy::dashboard {

/// One event. `id`: 0: none. `data`: of one line.
std::string event_text(std::string_view event, std::string_view data, std::uint64_t id = 0);

class EventStreams {
   public:
    explicit EventStreams(tls::Executor executor) : executor_(executor) {}
    ~EventStreams() { end(); }

    /// An answer that hears what is said from now on, behind `first`.
    HttpResponse open(std::string first);
    void say(std::string text);
    /// So that both sides notice when the other is gone: unless something was said since the last
    /// time.
    void keep_alive();
    bool empty();
    void end();

   private:
    tls::Executor executor_;
    std::list<std::weak_ptr<HttpStream>> streams_;
    bool said_ = false;
};

}  // namespace proxy::dashboard
