#include "protocol/backend_messages.hpp"

#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_text;
using protocol::Buffer;
using protocol::Column;
using protocol::ColumnType;
using protocol::TransactionStatus;
using support::message;

/// What `append(out)` appends.
template <class Append>
std::string appended(Append append) {
    Buffer out;
    append(out);
    return std::string(as_text(out));
}

}  // namespace

TEST_CASE("the messages of a session that begins") {
    CHECK(appended([](Buffer& out) { protocol::append_parameter_status(out, "TimeZone", "UTC"); }) ==
          message('S', "TimeZone\0UTC\0"s));
    CHECK(appended([](Buffer& out) { protocol::append_backend_key_data(out, 42, 0x4b455921); }) ==
          message('K', "\0\0\0\x2aKEY!"s));
    CHECK(appended([](Buffer& out) { protocol::append_ready_for_query(out); }) == message('Z', "I"));
    CHECK(appended([](Buffer& out) { protocol::append_ready_for_query(out, TransactionStatus::failed); }) ==
          message('Z', "E"));
}

TEST_CASE("a client is told which of its wishes nobody here knows") {
    const std::vector<std::string_view> unknown{"_pq_.one", "_pq_.two"};
    CHECK(appended([&](Buffer& out) { protocol::append_negotiate_protocol_version(out, 2, unknown); }) ==
          message('v', "\0\0\0\x02\0\0\0\x02_pq_.one\0_pq_.two\0"s));
}

TEST_CASE("the key that is sent is the key that is read") {
    Buffer out;
    protocol::append_backend_key_data(out, 4'000'000'000, 0x01020304);
    const auto key = protocol::parse_backend_key_data(protocol::Bytes(out).subspan(protocol::message_header_size));
    REQUIRE(key);
    CHECK(key->pid == 4'000'000'000);
    CHECK(key->key == Buffer{1, 2, 3, 4});
}

TEST_CASE("columns are described by name, type and size, and by nothing that only tables have") {
    const std::vector<Column> columns{{.name = "client"},
                                      {.name = "connections", .type = ColumnType::int8},
                                      {.name = "ssl", .type = ColumnType::boolean},
                                      {.name = "?column?", .type = ColumnType::int4}};
    const std::string no_table = "\0\0\0\0\0\0"s;
    const std::string text = "\xff\xff\xff\xff\0\0"s;
    CHECK(appended([&](Buffer& out) { protocol::append_row_description(out, columns); }) ==
          message('T', "\0\x04"s + "client\0"s + no_table + "\0\0\0\x19\xff\xff"s + text + "connections\0"s + no_table +
                           "\0\0\0\x14\0\x08"s + text + "ssl\0"s + no_table + "\0\0\0\x10\0\x01"s + text +
                           "?column?\0"s + no_table + "\0\0\0\x17\0\x04"s + text));
    CHECK(appended([](Buffer& out) { protocol::append_row_description(out, {}); }) == message('T', "\0\0"s));
}

TEST_CASE("a row tells an empty value from NULL") {
    const std::vector<std::optional<std::string_view>> values{"1", "", std::nullopt, "ab"};
    CHECK(appended([&](Buffer& out) { protocol::append_data_row(out, values); }) ==
          message('D', "\0\x04\0\0\0\x01"s + "1" + "\0\0\0\0"s + "\xff\xff\xff\xff"s + "\0\0\0\x02"s + "ab"));
}

TEST_CASE("more columns than a byte counts") {
    const std::vector<std::optional<std::string_view>> values(300, std::nullopt);
    const std::string row = appended([&](Buffer& out) { protocol::append_data_row(out, values); });
    CHECK(row.substr(5, 2) == "\x01\x2c"s);
    CHECK(row.size() == 5 + 2 + 300 * 4);
}

TEST_CASE("the messages that end a command, and those around a COPY") {
    CHECK(appended([](Buffer& out) { protocol::append_command_complete(out, "SELECT 1"); }) ==
          message('C', "SELECT 1\0"s));
    CHECK(appended([](Buffer& out) { protocol::append_empty_query_response(out); }) == message('I', ""));
    CHECK(appended([](Buffer& out) { protocol::append_copy_response(out, protocol::CopyResponse::out); }) ==
          message('H', "\0\0\x01\0\0"s));
    CHECK(appended([](Buffer& out) { protocol::append_copy_response(out, protocol::CopyResponse::in); }) ==
          message('G', "\0\0\x01\0\0"s));
    CHECK(appended([](Buffer& out) {
              protocol::append_copy_response(out, protocol::CopyResponse::out, protocol::CopyFormat::binary);
          }) == message('H', "\x01\0\x01\0\x01"s));
    CHECK(appended([](Buffer& out) { protocol::append_copy_done(out); }) == message('c', ""));
}

TEST_CASE("messages are appended behind what is there") {
    Buffer out;
    protocol::append_command_complete(out, "SHOW");
    append(out, protocol::ErrorResponse{
                    .severity = "ERROR", .sqlstate = "42601", .message = "no", .detail = {}, .hint = {}});
    protocol::append_ready_for_query(out);
    CHECK(support::types(out) == "CEZ");
}
