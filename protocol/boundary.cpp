#include "protocol/boundary.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "protocol/messages.hpp"

namespace protocol {
namespace {

/// More than the answer to a query of one row has, and few enough to cost nothing.
constexpr int max_messages = 32;
/// No message of PostgreSQL's is longer (MaxAllocSize of src/include/utils/memutils.h).
constexpr std::size_t max_message = 0x3fffffff;
constexpr char copy_data = 'd';
/// What a type may be (PostgreSQL docs, "Message Formats", after the login).
enum : std::uint8_t {
    of_server = 1,
    of_client = 2,
    unasked = 4,  // what a server may say without being asked
    request = 8,  // answered by one ReadyForQuery
};

constexpr std::array<std::uint8_t, 256> types = [] {
    std::array<std::uint8_t, 256> out{};
    const auto add = [&](std::string_view letters, std::uint8_t what) {
        for (const char letter : letters) out[static_cast<std::uint8_t>(letter)] |= what;
    };
    add("123ACDEGHINSTVWZcdnstv", of_server);
    add("BCDEFHPQScdf", of_client);
    add("ANS", unasked);
    add("QSF", request);
    return out;
}();

/// The status of the ReadyForQuery at the end of `bytes`; '\0': there is none.
char ready_status(Bytes bytes) noexcept {
    constexpr std::string_view ready("Z\0\0\0\5", 5);
    if (bytes.size() <= ready.size()) return '\0';
    const std::string_view end = as_text(bytes.last(ready.size() + 1));
    const char status = end.back();
    return end.starts_with(ready) && (status == 'I' || status == 'T' || status == 'E') ? status : '\0';
}

/// CopyDone or Sync, as the last that `bytes` hold: a COPY ends so, and so does a batch.
bool looks_done(Bytes bytes) noexcept {
    constexpr std::string_view empty("\0\0\0\4", 4);
    if (bytes.size() < message_header_size) return false;
    const std::string_view end = as_text(bytes.last(message_header_size));
    return (end[0] == 'c' || end[0] == 'S') && end.substr(1) == empty;
}

/// What PostgreSQL says where hot standby or a transaction's own setting forbids writing.
constexpr std::string_view read_only_sql_transaction("25006");

/// Of an ErrorResponse, or as much of it as has come.
bool has_sqlstate(Bytes message, std::string_view sqlstate) noexcept {
    std::string_view fields = as_text(message.subspan(message_header_size));
    while (!fields.empty() && fields[0] != 'C' && fields[0] != '\0') {
        const std::size_t end = fields.find('\0');
        fields.remove_prefix(end == fields.npos ? fields.size() : end + 1);
    }
    return fields.starts_with('C') && fields.substr(1).starts_with(sqlstate);
}

/// The type of the last of the messages that `bytes` begins with, which is taken off, and so is the
/// beginning of one more; `missing`: the rest of that. '\0': there are too many, or none.
/// `turns`: how many of them are a ReadyForQuery. `refused_to_write`: by the last error, if any.
char last_type(Bytes& bytes, std::size_t& missing, bool& only_unasked, std::uint32_t& turns,
               bool& refused_to_write) noexcept {
    char type = '\0';
    for (int messages = 0; !bytes.empty(); ++messages) {
        if (bytes.size() < message_header_size || messages == max_messages) return '\0';
        const std::size_t size = std::size_t{Reader(bytes.subspan(1)).u32()} + 1;
        type = static_cast<char>(bytes[0]);
        const std::uint8_t kind = types[bytes[0]];
        if (size < message_header_size || (kind & of_server) == 0) return '\0';
        only_unasked = only_unasked && (kind & unasked) != 0;
        if (type == 'Z') ++turns;
        const std::size_t here = std::min(size, bytes.size());
        missing = size - here;
        if (type == 'E') refused_to_write = has_sqlstate(bytes.first(here), read_only_sql_transaction);
        bytes = bytes.subspan(here);
    }
    return type;
}

bool is_request(char type) noexcept { return (types[static_cast<std::uint8_t>(type)] & request) != 0; }

}  // namespace

void Boundary::from_client(Bytes bytes) noexcept {
    if (bytes.empty()) return;
    if (looks_done_ && ready_ != '\0') begin_anew();
    const bool ends_in_request = count_requests(bytes);
    if (lost_) {
        if (unanswered_ > 1) pipelines_ = true;
        framed_ = false;
        missing_ = 0;
    }
    looks_done_ = lost_ && looks_done(bytes);
    status_ = '\0';
    asked_ = !framed_ && ready_ != '\0' && ends_in_request;
    ready_ = '\0';
}

/// With what the client sends once its COPY has been answered.
void Boundary::begin_anew() noexcept {
    lost_ = false;
    client_missing_ = client_header_size_ = 0;
}

/// From header to header, but for the many rows of a COPY, during which nobody asks anything. True:
/// it ends with a whole request.
bool Boundary::count_requests(Bytes bytes) noexcept {
    for (int rows = 0; !bytes.empty() && !lost_;) {
        if (client_missing_ == 0) {
            lost_ = client_type_ == copy_data && rows++ == max_messages;
            if (lost_) break;
            begin_message(bytes);
        }
        const std::size_t here = std::min(client_missing_, bytes.size());
        client_missing_ -= here;
        bytes = bytes.subspan(here);
    }
    return !lost_ && client_missing_ == 0 && client_header_size_ == 0 && is_request(client_type_);
}

/// Takes its header off, or as much of it as there is.
void Boundary::begin_message(Bytes& bytes) noexcept {
    if (client_header_size_ == 0 && bytes.size() >= message_header_size) {
        take_header(bytes.first(message_header_size));
        bytes = bytes.subspan(message_header_size);
        return;
    }
    const std::size_t here = std::min(message_header_size - client_header_size_, bytes.size());
    std::copy_n(bytes.begin(), here, client_header_.begin() + client_header_size_);
    client_header_size_ += static_cast<std::uint8_t>(here);
    bytes = bytes.subspan(here);
    if (client_header_size_ < message_header_size) return;
    client_header_size_ = 0;
    take_header(client_header_);
}

void Boundary::take_header(Bytes header) noexcept {
    client_type_ = static_cast<char>(header[0]);
    const std::size_t size = std::size_t{Reader(header.subspan(1)).u32()} + 1;
    lost_ = (types[header[0]] & of_client) == 0 || size < message_header_size || size > max_message;
    client_missing_ = lost_ ? 0 : size - message_header_size;
    if (lost_) pipelines_ = true;  // it may have asked anything
    if (is_request(client_type_) && ++unanswered_ > 1 && !framed_) pipelines_ = true;
}

void Boundary::from_server(Bytes bytes) noexcept {
    if (bytes.empty()) return;
    const char status = ready_status(bytes);
    if (framed_) {
        framed_ = follow(bytes, status);
        if (!framed_ && unanswered_ > 1) pipelines_ = true;
    } else if (asked_ && status != '\0') {
        framed_ = follow(bytes, status) && status_ != '\0';
        if (!framed_) missing_ = 0;
    }
    ready_ = bytes.size() < ready_size ? ready_in_pieces(bytes) : status;
    if (bytes.size() >= ready_size) std::memcpy(end_.data(), bytes.data() + bytes.size() - ready_size, ready_size);
    if (ready_ != '\0' && !framed_) unanswered_ = 0;
    asked_ = false;
}

/// Where a read has cut it.
char Boundary::ready_in_pieces(Bytes bytes) noexcept {
    std::rotate(end_.begin(), end_.begin() + static_cast<std::ptrdiff_t>(bytes.size()), end_.end());
    std::copy(bytes.begin(), bytes.end(), end_.end() - static_cast<std::ptrdiff_t>(bytes.size()));
    return ready_status(end_);
}

/// Goes on from header to header. False: it cannot.
bool Boundary::follow(Bytes bytes, char ready) noexcept {
    const char before = std::exchange(status_, '\0');
    const std::size_t rest = std::min(missing_, bytes.size());
    const bool goes_on = missing_ > 0;
    missing_ -= rest;
    bytes = bytes.subspan(rest);
    if (bytes.empty()) return true;
    bool only_unasked = !goes_on;
    std::uint32_t turns = 0;
    const char type = last_type(bytes, missing_, only_unasked, turns, refused_to_write_);
    if (type == '\0') {
        missing_ = 0;
        return false;
    }
    if (turns > unanswered_) pipelines_ = true;
    unanswered_ -= std::min(turns, unanswered_);
    if (missing_ == 0 && type == 'Z') status_ = ready;
    if (missing_ == 0 && only_unasked) status_ = before;
    return true;
}

}  // namespace protocol
