#include "tls/opening.hpp"

namespace tls {
namespace {

using protocol::Negotiation;
using Stop = Opening::Stop;

/// Whatever the negotiation wants to see of the client. A value: the client has gone, and how.
Awaitable<std::optional<Opening>> hear(Stream& stream, Negotiation& negotiation) {
    try {
        if (negotiation.next() == Negotiation::Next::peek) {
            const auto byte = co_await stream.peek();
            if (!byte) co_return Opening{Stop::closed, {}};
            negotiation.peeked(*byte);
        } else {
            protocol::Buffer bytes(negotiation.wanted());
            const bool whole = co_await stream.read_exactly(bytes);
            if (!whole) co_return Opening{Stop::closed, {}};
            negotiation.feed(bytes);
        }
    } catch (const StreamError& broken) {
        // A reset tells no less than a close.
        if (broken.kind() == StreamError::Kind::timed_out) throw;
        co_return Opening{Stop::closed, broken.what()};
    }
    co_return std::nullopt;
}

/// As above. What came in clear behind the request is refused: before TLS begins, or behind our
/// 'N', for which the client looks before it reads any message.
Awaitable<std::optional<Opening>> answer(Stream& stream, Negotiation& negotiation) {
    const bool surplus = stream.has_unread();
    if (surplus && negotiation.next() == Negotiation::Next::answer_yes) {
        negotiation.surplus();
        co_return std::nullopt;
    }
    const std::uint8_t letter = negotiation.next() == Negotiation::Next::answer_yes ? 'S' : 'N';
    const protocol::Bytes one(&letter, 1);
    std::string error;
    try {
        co_await stream.write(one);
    } catch (const StreamError& broken) {
        if (broken.kind() == StreamError::Kind::timed_out) throw;
        error = broken.what();
    }
    negotiation.answered();  // it waits for what the client will not send any more
    if (!error.empty()) co_return Opening{Stop::closed, std::move(error)};
    if (surplus) negotiation.surplus();
    co_return std::nullopt;
}

}  // namespace

Awaitable<Opening> go_on(Stream& stream, Negotiation& negotiation) {
    for (bool told = negotiation.declines_tls();;) {
        switch (negotiation.next()) {
            case Negotiation::Next::peek:
            case Negotiation::Next::read: {
                auto gone = co_await hear(stream, negotiation);
                if (gone) co_return std::move(*gone);
                break;
            }
            case Negotiation::Next::answer_no:
            case Negotiation::Next::answer_yes:
                if (negotiation.declines_tls() && !told && !stream.has_unread()) {
                    co_return Opening{Stop::declining, {}};
                } else {
                    auto gone = co_await answer(stream, negotiation);
                    if (gone) co_return std::move(*gone);
                    told = false;
                }
                break;
            case Negotiation::Next::start_tls: co_return Opening{Stop::start_tls, {}};
            case Negotiation::Next::started: co_return Opening{Stop::started, {}};
            case Negotiation::Next::cancel: co_return Opening{Stop::cancel, {}};
            case Negotiation::Next::reject: co_return Opening{Stop::reject, {}};
        }
    }
}

}  // namespace tls
