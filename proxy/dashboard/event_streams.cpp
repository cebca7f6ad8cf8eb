#include "proxy/dashboard/event_streams.hpp"

namespace proxy::dashboard {

std::string event_text(std::string_view event, std::string_view data, std::uint64_t id) {
    std::string text;
    if (id > 0) text += "id: " + std::to_string(id) + "\n";
    return text.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
}

HttpResponse EventStreams::open(std::string first) {
    HttpResponse response{.status = 200, .content_type = "text/event-stream", .body = {}};
    response.stream = std::make_shared<HttpStream>(executor_);
    response.stream->say("retry: 2000\n\n" + std::move(first));
    streams_.push_back(response.stream);
    return response;
}

void EventStreams::say(std::string text) {
    if (text.empty()) return;
    const auto piece = std::make_shared<const std::string>(std::move(text));
    said_ = true;
    for (const auto& one : streams_) {
        if (const auto stream = one.lock()) stream->say(piece);
    }
}

void EventStreams::keep_alive() {
    if (!said_) say(": still here\n\n");
    said_ = false;
}

bool EventStreams::empty() {
    std::erase_if(streams_, [](const auto& one) {
        const auto stream = one.lock();
        return !stream || stream->over();
    });
    return streams_.empty();
}

void EventStreams::end() {
    for (const auto& one : streams_) {
        if (const auto stream = one.lock()) stream->end();
    }
    streams_.clear();
}

}  // namespace proxy::dashboard
