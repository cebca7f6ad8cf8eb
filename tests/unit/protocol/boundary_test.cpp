#include "protocol/boundary.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::Boundary;

std::string message(char type, const std::string& body) {
    const std::size_t length = body.size() + 4;
    std::string out(1, type);
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(length >> shift & 0xff);
    return out + body;
}

const std::string ready = message('Z', "I");
const std::string in_transaction = message('Z', "T");
const std::string query = message('Q', "SELECT 1\0"s);
const std::string row = message('D', "\0\1\0\0\0\1x"s);
const std::string answer = message('T', "\0\1"s + std::string(18, 'c')) + row + message('C', "SELECT 1\0"s) + ready;

/// What one side or the other sends, each piece read at once.
class Talk {
   public:
    Talk& client(const std::string& bytes) {
        boundary_.from_client(as_bytes(bytes));
        return *this;
    }
    Talk& server(const std::string& bytes) {
        boundary_.from_server(as_bytes(bytes));
        return *this;
    }
    char status() const { return boundary_.status(); }
    char apparent_status() const { return boundary_.apparent_status(); }
    bool was_refused_to_write() const { return boundary_.was_refused_to_write(); }

   private:
    Boundary boundary_;
};

std::string many_rows() {
    std::string out;
    for (int i = 0; i < 1000; ++i) out += row;
    return out;
}

}  // namespace

TEST_CASE("a session is between two messages after its login, and after each answer") {
    CHECK(Talk().status() == 'I');
    CHECK(Talk().client(query).server(answer).status() == 'I');
    CHECK(Talk().client(query).server(message('C', "BEGIN\0"s) + in_transaction).status() == 'T');
    CHECK(Talk().client(query).server(answer).client(query).server(answer).status() == 'I');
}

TEST_CASE("a client that says goodbye is heard, in pieces and behind a request, and nobody who does not") {
    const auto said = [](const std::vector<std::string>& reads) {
        Boundary boundary;
        for (const std::string& read : reads) boundary.from_client(as_bytes(read));
        return boundary.client_said_goodbye();
    };
    const std::string goodbye = message('X', "");
    CHECK(said({goodbye}));
    CHECK(said({query + goodbye}));
    CHECK(said({goodbye.substr(0, 2), goodbye.substr(2)}));
    CHECK_FALSE(said({}));
    CHECK_FALSE(said({query}));
    CHECK_FALSE(said({goodbye.substr(0, 4)}));
    CHECK_FALSE(said({message('Q', goodbye)}));
}

TEST_CASE("that the last error was 25006 is seen, and nothing else is taken for it") {
    const auto error = [](const std::string& sqlstate, const std::string& text) {
        return message('E', "SERROR\0VERROR\0C"s + sqlstate + "\0M"s + text + "\0\0"s);
    };
    const std::string refused = error("25006", "cannot execute INSERT in a read-only transaction");
    const std::string other = error("23505", "C25006");
    CHECK(Talk().client(query).server(refused + ready).was_refused_to_write());
    CHECK(Talk().client(query).server(refused).server(ready).was_refused_to_write());
    CHECK(Talk().client(query).server(refused.substr(0, 30)).server(refused.substr(30) + ready).was_refused_to_write());
    CHECK(Talk().client(query).server(refused + ready).client(query).server(answer).was_refused_to_write());
    CHECK_FALSE(Talk().was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(answer).was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(other + ready).was_refused_to_write());
    CHECK_FALSE(
        Talk().client(query).server(refused + ready).client(query).server(other + ready).was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(message('D', refused) + ready).was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(message('E', "") + ready).was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(message('E', "SERROR") + ready).was_refused_to_write());
    CHECK_FALSE(Talk().client(query).server(message('E', "C2500") + ready).was_refused_to_write());
}

TEST_CASE("whoever has asked, in part even, is not between two messages") {
    CHECK(Talk().client(query).status() == '\0');
    CHECK(Talk().client(query.substr(0, 3)).status() == '\0');
    CHECK(Talk().client(query).server(answer).client("Q").status() == '\0');
}

TEST_CASE("an answer that has not ended is followed wherever reads cut it, but for a header") {
    for (std::size_t cut = 1; cut < answer.size(); ++cut) {
        Talk talk;
        talk.client(query).server(answer.substr(0, cut));
        CAPTURE(cut);
        CHECK(talk.status() == '\0');
        talk.server(answer.substr(cut));
        if (cut >= 5 && cut < 25) CHECK(talk.status() == 'I');  // behind the first header
        CHECK(talk.client(query).server(answer).client(query).server(answer).status() == 'I');  // known again
    }
}

TEST_CASE("a row that ends in what looks like a ReadyForQuery is a row") {
    const std::string data = message('D', "\0\1\0\0\0\x20"s + ready + std::string(26, 'x'));
    const std::size_t looks_ready = data.find('Z') + ready.size();
    const Talk talk = Talk().client(query).server(data.substr(0, looks_ready));
    CHECK(talk.status() == '\0');

    SECTION("also when reads end there again and again") {
        Talk on = talk;
        CHECK(on.server(data.substr(looks_ready) + data.substr(0, looks_ready)).status() == '\0');
        CHECK(on.client(query).status() == '\0');
        CHECK(on.server(data.substr(looks_ready) + answer).status() == '\0');  // the second one is not answered
        CHECK(on.server(answer).status() == 'I');
    }
    SECTION("also when nobody knows any more where messages begin") {
        Talk lost;
        lost.client(query).server(many_rows() + data.substr(0, looks_ready));
        CHECK(lost.status() == '\0');
        CHECK(lost.server(ready).status() == '\0');
    }
}

TEST_CASE("a stream of rows is given up, and found again by one whole question and answer") {
    Talk talk;
    talk.client(query).server(many_rows()).server(many_rows() + ready);
    CHECK(talk.status() == '\0');
    SECTION("one round") { CHECK(talk.client(query).server(answer).status() == 'I'); }
    SECTION("not by half an answer") {
        CHECK(talk.client(query).server(answer.substr(0, 30)).server(answer.substr(30)).status() == '\0');
    }
    SECTION("not by half a question") {
        CHECK(talk.client(query.substr(0, 4)).client(query.substr(4)).server(answer).status() == '\0');
    }
    SECTION("not by an answer nobody asked for") { CHECK(talk.server(answer).status() == '\0'); }
    SECTION("not by what is no answer") { CHECK(talk.client(query).server("xyz" + answer).status() == '\0'); }
}

TEST_CASE("what a server says unasked leaves the session where it was") {
    const std::string notification = message('A', "\0\0\0\7ch\0\0"s);
    CHECK(Talk().server(notification).status() == 'I');
    CHECK(Talk().client(query).server(message('C', "BEGIN\0"s) + in_transaction).server(notification).status() == 'T');
    CHECK(Talk().client(query).server(notification).status() == '\0');
    CHECK(Talk().server(notification.substr(0, 7)).status() == '\0');
}

TEST_CASE("what cannot be a message is never between two") {
    for (const std::string& bytes :
         {"Z\0\0\0\3"s, "Z\0\0\0\4"s, "\0\0\0\0\5I"s, "Z\0\0\0\5X"s, "Z\xff\xff\xff\xffI"s}) {
        CHECK(Talk().server(bytes).status() == '\0');
    }
}

TEST_CASE("between the answers to two questions that were asked at once the server is at work") {
    CHECK(Talk().client(query + query).server(answer).status() == '\0');
    CHECK(Talk().client(query).client(query).server(answer).status() == '\0');
    CHECK(Talk().client(query).server(answer).client(query).client(query).server(answer).server(answer).status() ==
          'I');
    CHECK(Talk().client(query + query).server(answer + answer).status() == 'I');
    CHECK(Talk().client(query + query).server(answer).apparent_status() == '\0');
    // A question in several messages is one, and so is one in several pieces.
    const std::string extended =
        message('P', "\0SELECT 1\0\0\0"s) + message('B', "\0\0\0\0\0\0\0\0"s) + message('E', "\0\0\0\0\0"s);
    const std::string sync = message('S', "");
    CHECK(Talk().client(extended + sync).server(answer).status() == 'I');
    CHECK(Talk().client(extended + message('H', "")).server(row).client(sync).server(answer).status() == 'I');
    CHECK(Talk().client(query.substr(0, 9)).client(query.substr(9)).server(answer).status() == 'I');
    CHECK(Talk().client(query.substr(0, 9)).client(query.substr(9) + query).server(answer).status() == '\0');
    // What cannot be followed may be anything.
    CHECK(Talk().client("GET / HTTP/1.1").server(answer).status() == '\0');
}

TEST_CASE("a client's stream of rows is given up, and found again by one whole question and answer") {
    std::string copy;
    for (int i = 0; i < 1000; ++i) copy += message('d', "1\n");
    copy += message('c', "");
    const std::string copied = message('C', "COPY 1000\0"s) + ready;
    const std::string begun = message('G', "\0\0\1\0\0"s);
    Talk talk;
    talk.client(query).server(begun).client(copy).server(copied);
    CHECK(talk.status() == '\0');
    CHECK(talk.apparent_status() == 'I');
    CHECK(Talk().client(query).server(begun).client(copy).client(copy.substr(0, 700)).server(ready).apparent_status() ==
          '\0');
    CHECK(talk.client(query).status() == '\0');
    CHECK(talk.server(answer).status() == 'I');
    CHECK(talk.client(query + query).server(answer).status() == '\0');
    // Nothing is found in the midst of it.
    CHECK(Talk().client(query).server(begun).client(copy).client(query).server(answer).status() == '\0');
    CHECK(Talk()
              .client(query)
              .server(answer)
              .client(copy)
              .server(ready)
              .client(query.substr(3))
              .server(answer)
              .status() == '\0');
}

TEST_CASE("a client that asks ahead is known, however many messages it sends at once") {
    std::string batch;
    for (int i = 0; i < 40; ++i) batch += message('B', "\0\0\0\0\0\0\0\0"s);
    batch += message('S', "");
    CHECK(Talk().client(batch).server(answer).status() == 'I');
    CHECK(Talk().client(batch).client(batch).server(answer).client(query).server(answer).status() == '\0');
    CHECK(Talk().client(batch + batch).server(answer).client(query).server(answer).status() == '\0');
}

TEST_CASE("a client that asks ahead is between two messages where all is answered, as long as that can be counted") {
    Talk talk;
    for (int turn = 0; turn < 3; ++turn) {
        talk.client(query).client(query + query.substr(0, 4)).client(query.substr(4));
        CHECK(talk.server(answer).status() == '\0');
        CHECK(talk.server(answer + row).status() == '\0');
        CHECK(talk.server(message('C', "SELECT 1\0"s) + ready).status() == 'I');
    }
    // Many rows: which of two is answered is not known, now and for good.
    std::string rows;
    for (int i = 0; i < 40; ++i) rows += row;
    talk.client(query + query).server(rows).server(answer).server(answer);
    CHECK(talk.status() == '\0');
    CHECK(talk.client(query).server(answer).status() == '\0');
    CHECK(talk.apparent_status() == '\0');
    // More answers than questions: whoever that is, it is not followed.
    CHECK(Talk().client(query).server(answer).server(answer).status() == '\0');
    CHECK(Talk().client(query + query).server(answer + answer + answer).status() == '\0');
}

TEST_CASE("rows that go on behind an error of their COPY are no messages") {
    std::string rows;
    for (int i = 0; i < 40; ++i) rows += message('d', "d1234\n");
    Talk talk;
    talk.client(query).client(rows).server(message('E', "SERROR\0C22P02\0\0"s) + ready).client(rows.substr(5));
    CHECK(talk.server(answer).status() == '\0');
    CHECK(talk.apparent_status() == '\0');
}

TEST_CASE("a client is followed wherever reads cut its messages") {
    for (std::size_t cut = 1; cut < query.size(); ++cut) {
        INFO(cut);
        CHECK(Talk().client(query.substr(0, cut)).client(query.substr(cut)).server(answer).status() == 'I');
        CHECK(Talk().client(query.substr(0, cut)).client(query.substr(cut) + query).server(answer).status() == '\0');
    }
    Talk byte_by_byte;
    for (const char byte : query + query) byte_by_byte.client(std::string(1, byte));
    CHECK(byte_by_byte.server(answer).status() == '\0');
}

TEST_CASE("a session may look as if it were between two messages where nobody knows") {
    CHECK(Talk().apparent_status() == 'I');
    CHECK(Talk().client(query).apparent_status() == '\0');
    const std::string long_answer = many_rows() + message('C', "SELECT 1000\0"s);
    CHECK(Talk().client(query).server(long_answer + ready).status() == '\0');
    CHECK(Talk().client(query).server(long_answer + ready).apparent_status() == 'I');
    CHECK(Talk().client(query).server(long_answer + in_transaction).apparent_status() == 'T');
    CHECK(Talk().client(query).server(many_rows()).apparent_status() == '\0');
    CHECK(Talk().client(query + query).server(answer).apparent_status() == '\0');
    // A message of ours would come within one of the client's.
    CHECK(Talk().client(query + query.substr(0, 3)).server(answer).apparent_status() == '\0');
    CHECK(Talk().client(query + query.substr(0, 9)).server(answer).apparent_status() == '\0');
    CHECK(Talk().client("GET / HTTP/1.1").server(answer).apparent_status() == '\0');
}
