#include "protocol/negotiation.hpp"

#include <set>

#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::Buffer;
using protocol::Fault;
using protocol::Negotiation;
using protocol::NegotiationPolicy;
using Next = Negotiation::Next;

const std::string ssl_request = "\0\0\0\x08\x04\xd2\x16\x2f"s;
const std::string gssenc_request = "\0\0\0\x08\x04\xd2\x16\x30"s;
const std::string startup = "\0\0\0\x12\0\x03\0\0user\0ada\0\0"s;
const std::string cancel = "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07KEY!"s;
const std::string client_hello = "\x16\x03\x01\x02\0\x01"s;

/// What a client does, one step after the other. It sends no byte before the answer that it waits
/// for.
class Script {
   public:
    Script& sends(std::string bytes) { return add({.kind = Step::Kind::sends, .bytes = std::move(bytes)}); }
    Script& expects(char answer) { return add({.kind = Step::Kind::expects, .bytes = {answer}}); }
    /// The client's half of a handshake that succeeds; what it sends next goes through TLS.
    Script& starts_tls() { return add({.kind = Step::Kind::starts_tls, .bytes = {}}); }

    std::size_t size() const {
        std::size_t total = 0;
        for (const Step& step : steps_) total += step.kind == Step::Kind::sends ? step.bytes.size() : 0;
        return total;
    }

   private:
    struct Step {
        enum class Kind { sends, expects, starts_tls };
        Kind kind;
        std::string bytes;
    };

    Script& add(Step step) {
        steps_.push_back(std::move(step));
        return *this;
    }

    std::vector<Step> steps_;
    friend class Conversation;
};

/// Obeys next() with the bytes of a script, which arrive in pieces that end at `cuts` (and at the
/// end of what the client sends at once); a piece arrives when it is waited for. After `limit`
/// bytes the client is gone.
class Conversation {
   public:
    Conversation(NegotiationPolicy policy, const Script& script, std::set<std::size_t> cuts = {},
                 std::size_t limit = ~std::size_t{0})
        : negotiation(policy), steps_(script.steps_), cuts_(std::move(cuts)), limit_(limit) {
        while (obey()) {
        }
    }

    Negotiation negotiation;
    std::string answers;      // what the client was sent
    bool off_script = false;  // the client was to get another answer, or a handshake when it wanted none

   private:
    bool obey() {
        switch (negotiation.next()) {
            case Next::peek:
                if (!wait_for(1)) return false;
                negotiation.peeked(static_cast<std::uint8_t>(inbox_[0]));
                return true;
            case Next::read: {
                const std::size_t size = negotiation.wanted();
                if (!wait_for(size)) return false;
                negotiation.feed(protocol::as_bytes(inbox_.substr(0, size)));
                inbox_.erase(0, size);
                return true;
            }
            case Next::answer_no: return answer('N');
            case Next::answer_yes: return answer('S');
            case Next::start_tls:
                if (!wait_for(client_hello.size())) return false;
                inbox_.erase(0, client_hello.size());
                if (!take(Script::Step::Kind::starts_tls)) return false;
                negotiation.tls_started();
                return true;
            case Next::started:
            case Next::cancel:
            case Next::reject: return false;
        }
        return false;
    }

    bool answer(char text) {
        if (!inbox_.empty()) {
            negotiation.surplus();
            return true;
        }
        answers += text;
        negotiation.answered();
        if (at_ < steps_.size() && steps_[at_].kind == Script::Step::Kind::expects && steps_[at_].bytes[0] == text) {
            ++at_;
            return true;
        }
        off_script = true;
        return false;
    }

    bool wait_for(std::size_t size) {
        while (inbox_.size() < size) {
            if (arrived_ == limit_ || at_ >= steps_.size() || steps_[at_].kind != Script::Step::Kind::sends)
                return false;
            const std::string& bytes = steps_[at_].bytes;
            do {
                inbox_ += bytes[in_step_++];
                ++arrived_;
            } while (in_step_ < bytes.size() && arrived_ != limit_ && !cuts_.contains(arrived_));
            if (in_step_ == bytes.size()) {
                in_step_ = 0;
                ++at_;
            }
        }
        return true;
    }

    bool take(Script::Step::Kind kind) {
        if (at_ < steps_.size() && steps_[at_].kind == kind) {
            ++at_;
            return true;
        }
        off_script = true;
        return false;
    }

    std::vector<Script::Step> steps_;
    std::set<std::size_t> cuts_;
    std::size_t limit_;
    std::size_t at_ = 0;
    std::size_t in_step_ = 0;
    std::size_t arrived_ = 0;
    std::string inbox_;
};

struct Expected {
    Next next;
    std::string kind;
    std::string answers = {};
    Fault fault = Fault::none;
    bool encrypted = false;
};

void check(const Conversation& talk, const Expected& expected) {
    CHECK_FALSE(talk.off_script);
    CHECK(talk.negotiation.next() == expected.next);
    CHECK(talk.negotiation.kind() == expected.kind);
    CHECK(talk.answers == expected.answers);
    CHECK(talk.negotiation.fault() == expected.fault);
    CHECK(talk.negotiation.encrypted() == expected.encrypted);
}

/// The same end however the bytes are cut.
void check_in_every_segmentation(NegotiationPolicy policy, const Script& script, const Expected& expected) {
    std::set<std::size_t> everywhere;
    for (std::size_t cut = 1; cut <= script.size(); ++cut) {
        everywhere.insert(cut);
        check(Conversation(policy, script, {cut}), expected);
    }
    check(Conversation(policy, script), expected);
    check(Conversation(policy, script, everywhere), expected);
}

/// A client that goes away in the middle leaves a conversation that is neither started nor at
/// fault.
void check_gone_at_each_byte(NegotiationPolicy policy, const Script& script) {
    for (std::size_t limit = 0; limit < script.size(); ++limit) {
        const Conversation talk(policy, script, {}, limit);
        const bool waiting = talk.negotiation.next() == Next::peek || talk.negotiation.next() == Next::read ||
                             talk.negotiation.next() == Next::start_tls;
        CHECK((waiting || talk.negotiation.next() == Next::reject));
        CHECK((talk.negotiation.fault() == Fault::none || talk.negotiation.next() == Next::reject));
    }
}

void check_script(NegotiationPolicy policy, const Script& script, const Expected& expected) {
    check_in_every_segmentation(policy, script, expected);
    check_gone_at_each_byte(policy, script);
}

constexpr NegotiationPolicy anything{};
constexpr NegotiationPolicy no_tls{.tls = false};
constexpr NegotiationPolicy required{.tls_required = true};

}  // namespace

TEST_CASE("a StartupMessage in clear starts a plain session and is kept as it came") {
    check_script(anything, Script().sends(startup), {.next = Next::started, .kind = "plain"});
    const Conversation talk(anything, Script().sends(startup));
    CHECK(protocol::as_text(talk.negotiation.packet()) == startup);
    CHECK(talk.negotiation.startup().find("user") == "ada");
    CHECK_FALSE(talk.negotiation.ssl_requested());
}

TEST_CASE("the StartupMessage is read to its last byte and not further") {
    Negotiation negotiation(anything);
    negotiation.peeked(0);
    CHECK(negotiation.wanted() == 4);
    negotiation.feed(protocol::as_bytes(startup.substr(0, 4)));
    CHECK(negotiation.next() == Next::read);
    CHECK(negotiation.wanted() == startup.size() - 4);
    negotiation.feed(protocol::as_bytes(startup.substr(4)));
    CHECK(negotiation.next() == Next::started);
}

TEST_CASE("SSLRequest is answered with S, and the StartupMessage comes through TLS") {
    check_script(anything, Script().sends(ssl_request).expects('S').sends(client_hello).starts_tls().sends(startup),
                 {.next = Next::started, .kind = "sslrequest", .answers = "S", .encrypted = true});
}

TEST_CASE("SSLRequest is answered with N where there is no TLS, and the client may go on in clear") {
    check_script(no_tls, Script().sends(ssl_request).expects('N').sends(startup),
                 {.next = Next::started, .kind = "sslrequest-refused", .answers = "N"});
}

TEST_CASE("a client that closes after N is left waiting, with nothing at fault") {
    const Conversation talk(no_tls, Script().sends(ssl_request).expects('N'));
    check(talk, {.next = Next::peek, .kind = "sslrequest-refused", .answers = "N"});
    CHECK(talk.negotiation.ssl_requested());
}

TEST_CASE("a client that ignores N and sends a ClientHello is refused as TLS") {
    const Script script = Script().sends(ssl_request).expects('N').sends(client_hello);
    check_in_every_segmentation(
        no_tls, script,
        {.next = Next::reject, .kind = "sslrequest-refused", .answers = "N", .fault = Fault::tls_not_offered});
    CHECK(Conversation(no_tls, script).negotiation.client_hello_seen());
}

TEST_CASE("direct TLS needs no answer") {
    const Script script = Script().sends(client_hello).starts_tls().sends(startup);
    check_script(anything, script, {.next = Next::started, .kind = "direct", .encrypted = true});
    CHECK(Conversation(anything, script).negotiation.direct());
}

TEST_CASE("direct TLS is refused where it is not offered, in a way that a TLS client can read") {
    for (const NegotiationPolicy policy : {no_tls, NegotiationPolicy{.direct_tls = false}}) {
        const Script script = Script().sends(client_hello);
        check_in_every_segmentation(policy, script,
                                    {.next = Next::reject, .kind = "plain", .fault = Fault::tls_not_offered});
        CHECK(Conversation(policy, script).negotiation.client_hello_seen());
    }
}

TEST_CASE("GSSENCRequest is answered with N and anything may follow") {
    SECTION("a StartupMessage") {
        check_script(anything, Script().sends(gssenc_request).expects('N').sends(startup),
                     {.next = Next::started, .kind = "gssenc+plain", .answers = "N"});
    }
    SECTION("SSLRequest") {
        check_script(anything,
                     Script()
                         .sends(gssenc_request)
                         .expects('N')
                         .sends(ssl_request)
                         .expects('S')
                         .sends(client_hello)
                         .starts_tls()
                         .sends(startup),
                     {.next = Next::started, .kind = "gssenc+sslrequest", .answers = "NS", .encrypted = true});
    }
    SECTION("SSLRequest where there is no TLS") {
        check_script(no_tls, Script().sends(gssenc_request).expects('N').sends(ssl_request).expects('N').sends(startup),
                     {.next = Next::started, .kind = "gssenc+sslrequest-refused", .answers = "NN"});
    }
    SECTION("direct TLS") {
        check_script(anything,
                     Script().sends(gssenc_request).expects('N').sends(client_hello).starts_tls().sends(startup),
                     {.next = Next::started, .kind = "gssenc+direct", .answers = "N", .encrypted = true});
    }
    SECTION("a CancelRequest") {
        check_script(anything, Script().sends(gssenc_request).expects('N').sends(cancel),
                     {.next = Next::cancel, .kind = "gssenc+plain", .answers = "N"});
    }
}

TEST_CASE("GSSENCRequest may also follow an SSLRequest that was declined") {
    check_script(no_tls, Script().sends(ssl_request).expects('N').sends(gssenc_request).expects('N').sends(startup),
                 {.next = Next::started, .kind = "gssenc+sslrequest-refused", .answers = "NN"});
}

TEST_CASE("each encryption request is answered once") {
    SECTION("SSLRequest") {
        check_in_every_segmentation(
            no_tls, Script().sends(ssl_request).expects('N').sends(ssl_request),
            {.next = Next::reject, .kind = "sslrequest-refused", .answers = "N", .fault = Fault::repeated_request});
    }
    SECTION("GSSENCRequest") {
        check_in_every_segmentation(
            anything, Script().sends(gssenc_request).expects('N').sends(gssenc_request),
            {.next = Next::reject, .kind = "gssenc+plain", .answers = "N", .fault = Fault::repeated_request});
    }
    SECTION("both, over and over") {
        const Conversation talk(
            no_tls, Script().sends(gssenc_request).expects('N').sends(ssl_request).expects('N').sends(gssenc_request));
        check(talk, {.next = Next::reject,
                     .kind = "gssenc+sslrequest-refused",
                     .answers = "NN",
                     .fault = Fault::repeated_request});
    }
}

TEST_CASE("bytes behind an encryption request are refused before it is answered") {
    for (const std::string& request : {ssl_request, gssenc_request}) {
        for (const std::string& surplus : {"\0"s, startup, client_hello, ssl_request, std::string(1, 'S')}) {
            for (const NegotiationPolicy policy : {anything, no_tls, required}) {
                const Conversation talk(policy, Script().sends(request + surplus));
                CHECK(talk.negotiation.next() == Next::reject);
                CHECK(talk.negotiation.fault() == Fault::unencrypted_after_request);
                CHECK(talk.answers.empty());
                CHECK_FALSE(talk.negotiation.client_hello_seen());
            }
        }
    }
}

TEST_CASE("a CancelRequest is taken in clear even where TLS is required") {
    for (const NegotiationPolicy policy : {anything, no_tls, required}) {
        check_script(policy, Script().sends(cancel), {.next = Next::cancel, .kind = "plain"});
    }
    const Conversation talk(required, Script().sends(cancel));
    CHECK(talk.negotiation.cancel_request().pid == 7);
    CHECK(protocol::as_text(talk.negotiation.cancel_request().key) == "KEY!");
}

TEST_CASE("a CancelRequest is taken after N and through TLS") {
    check_script(no_tls, Script().sends(ssl_request).expects('N').sends(cancel),
                 {.next = Next::cancel, .kind = "sslrequest-refused", .answers = "N"});
    check_script(required, Script().sends(ssl_request).expects('S').sends(client_hello).starts_tls().sends(cancel),
                 {.next = Next::cancel, .kind = "sslrequest", .answers = "S", .encrypted = true});
    check_script(required, Script().sends(client_hello).starts_tls().sends(cancel),
                 {.next = Next::cancel, .kind = "direct", .encrypted = true});
}

TEST_CASE("a StartupMessage in clear is refused where TLS is required, but its sender is known") {
    check_in_every_segmentation(required, Script().sends(startup),
                                {.next = Next::reject, .kind = "plain", .fault = Fault::tls_required});
    check_in_every_segmentation(
        required, Script().sends(gssenc_request).expects('N').sends(startup),
        {.next = Next::reject, .kind = "gssenc+plain", .answers = "N", .fault = Fault::tls_required});
    const Conversation talk(required, Script().sends(startup));
    CHECK(talk.negotiation.startup().find("user") == "ada");
    CHECK_FALSE(talk.negotiation.client_hello_seen());
}

TEST_CASE("a StartupMessage through TLS is taken where TLS is required") {
    check_script(required, Script().sends(ssl_request).expects('S').sends(client_hello).starts_tls().sends(startup),
                 {.next = Next::started, .kind = "sslrequest", .answers = "S", .encrypted = true});
    check_script(required, Script().sends(client_hello).starts_tls().sends(startup),
                 {.next = Next::started, .kind = "direct", .encrypted = true});
}

TEST_CASE("an encryption request within TLS is refused, whatever the way into TLS") {
    for (const std::string& request : {ssl_request, gssenc_request}) {
        const Conversation asked(
            anything, Script().sends(ssl_request).expects('S').sends(client_hello).starts_tls().sends(request));
        check(asked, {.next = Next::reject,
                      .kind = "sslrequest",
                      .answers = "S",
                      .fault = Fault::unsupported_protocol,
                      .encrypted = true});
        CHECK_FALSE(asked.negotiation.client_hello_seen());
        const Conversation direct(anything, Script().sends(client_hello).starts_tls().sends(request));
        check(direct,
              {.next = Next::reject, .kind = "direct", .fault = Fault::unsupported_protocol, .encrypted = true});
    }
}

TEST_CASE("a ClientHello within TLS is a packet of impossible length") {
    const Conversation talk(anything, Script().sends(client_hello).starts_tls().sends("\x16\x03\x01\x02\0\x01\0\0"s));
    check(talk, {.next = Next::reject, .kind = "direct", .fault = Fault::startup_length, .encrypted = true});
    CHECK_FALSE(talk.negotiation.client_hello_seen());
}

TEST_CASE("what is no opening packet is refused by its first four bytes") {
    for (const std::string& header : {"GET "s, "\0\0\0\x07"s, "\0\0\x27\x15"s, std::string(4, '\0'),
                                      std::string(4, '\xff'), "SSH-"s, "X\0\0\0"s, "\x15\x03\x01\0"s}) {
        check(Conversation(anything, Script().sends(header)),
              {.next = Next::reject, .kind = "plain", .fault = Fault::startup_length});
    }
}

TEST_CASE("a packet that PostgreSQL would not take is refused for its own reason") {
    const auto fault_of = [](const std::string& bytes) {
        return Conversation(anything, Script().sends(bytes)).negotiation.fault();
    };
    CHECK(fault_of("\0\0\0\x08\0\x02\0\0"s) == Fault::unsupported_protocol);
    CHECK(fault_of("\0\0\0\x08\0\x03\0\0"s) == Fault::startup_layout);
    CHECK(fault_of("\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x07"s) == Fault::cancel_length);
    CHECK(fault_of("\0\0\0\x09\x04\xd2\x16\x2f"s + "x") == Fault::startup_length);
}
