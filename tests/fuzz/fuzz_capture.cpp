// Captures: a file says the same whatever pieces it comes in, a packet is never more than its
// bytes, and what we write is read back.
#include <algorithm>
#include <cstdlib>

#include "protocol/pcapng_reader.hpp"
#include "protocol/tcp_conversation.hpp"
#include "protocol/tcp_packet.hpp"

namespace {

using namespace protocol;

void check(bool holds) {
    if (!holds) std::abort();
}

bool is_within(Bytes part, Bytes whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void decode(Bytes bytes) {
    const auto packet = decode_tcp_packet(bytes);
    if (!packet) return;
    check(is_within(packet->payload, bytes) && packet->payload.size() <= packet->size);
    check(parse_endpoint(address_text(packet->from), packet->from.port) == packet->from);
}

/// All that a block says, so that two of them can be compared.
struct Words {
    std::string& all;

    void add(std::string_view text) { all.append(text).append(1, '\n'); }
    void add(std::uint64_t number) { add(std::to_string(number)); }
    void add(const std::vector<std::string>& texts) {
        for (const auto& text : texts) add(text);
    }
    void operator()(const pcapng::SectionBlock& block) {
        add(block.application), add(block.system), add(block.comments);
    }
    void operator()(const pcapng::InterfaceBlock& block) {
        add(block.number), add(block.link_type), add(block.name), add(block.description);
    }
    void operator()(const pcapng::PacketBlock& block) {
        decode(block.bytes);
        add(block.interface), add(block.time), add(as_text(block.bytes)), add(block.original_size);
        add(block.direction ? static_cast<std::uint64_t>(*block.direction) : 0);
        add(block.id.value_or(0)), add(block.dropped), add(block.comments);
        if (block.process) add(block.process->pid), add(block.process->thread);
    }
    void operator()(const pcapng::SecretsBlock& block) { add(block.type), add(block.size); }
    void operator()(const pcapng::NamesBlock& block) {
        for (const auto& name : block.names) {
            check(parse_endpoint(name.address).has_value());
            add(name.address), add(name.name);
        }
    }
    void operator()(const pcapng::JournalBlock& block) {
        for (const auto& [key, value] : block.fields) add(key), add(value);
    }
    void operator()(const pcapng::Statistics& block) {
        add(block.interface), add(block.time), add(block.received), add(block.dropped);
    }
};

struct Found {
    std::string blocks;
    std::string error;
    std::uint64_t skipped = 0;
    std::size_t pending = 0;

    bool operator==(const Found&) const = default;
};

Found read(Bytes bytes, std::size_t piece) {
    pcapng::BlockReader reader;
    Found found;
    while (!bytes.empty()) {
        Bytes next = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(next.size());
        while (const auto block = reader.next(next)) {
            found.blocks += static_cast<char>('0' + block->index());
            std::visit(Words{found.blocks}, *block);
        }
        check(next.empty());
        check(reader.pending() <= pcapng::max_block);
    }
    found.error = reader.error();
    found.skipped = reader.skipped();
    if (found.error.empty()) found.pending = reader.pending();
    return found;
}

void write_and_read(Bytes bytes, std::size_t piece) {
    const std::string_view text = as_text(bytes);
    Endpoint client{.v6 = piece % 2 == 0, .port = 4711}, server{.v6 = piece % 3 == 0, .port = 5432};
    std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), client.v6 ? 16 : 4), client.address.begin());
    TcpConversation conversation(client, server);
    conversation.skip(TcpConversation::Sender::client, static_cast<std::uint32_t>(bytes.size() * 0x9e3779b9U));

    Buffer file;
    pcapng::append_section(file, text, {});
    pcapng::append_interface(file, {}, text);
    const pcapng::Name names[]{{.address = address_text(client), .name = std::string(text)}};
    pcapng::append_names(file, names);
    const pcapng::Field fields[]{{.key = "MESSAGE", .value = text}};
    pcapng::append_journal_entry(file, fields);
    const std::string comments[]{std::string(text)};
    conversation.data(TcpConversation::Sender::client, bytes, [&](auto, Bytes packet) {
        pcapng::append_packet(file, {.bytes = packet, .id = piece, .comments = comments});
    });

    pcapng::BlockReader reader;
    std::string said;
    std::size_t packets = 0;
    for (Bytes rest = file; !rest.empty();) {
        const auto block = reader.next(rest);
        check(block.has_value());
        if (const auto* journal = std::get_if<pcapng::JournalBlock>(&*block)) check(journal->value("MESSAGE") == text);
        const auto* packet = std::get_if<pcapng::PacketBlock>(&*block);
        if (!packet) continue;
        ++packets;
        const auto tcp = decode_tcp_packet(packet->bytes);
        check(tcp && tcp->payload.size() == tcp->size && tcp->to.v6 == tcp->from.v6);
        said += as_text(tcp->payload);
        if (text.size() <= 0xffff) check(packet->comments == std::vector<std::string>(1, comments[0]));
    }
    check(reader.error().empty() && reader.skipped() == 0);
    check(said == text && (packets > 0) == !text.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    const Bytes bytes(data + 1, size - 1);
    check(read(bytes, piece) == read(bytes, std::max<std::size_t>(bytes.size(), 1)));
    decode(bytes);
    if (const auto endpoint = parse_endpoint(as_text(bytes)))
        check(parse_endpoint(address_text(*endpoint)) == endpoint);
    write_and_read(bytes, piece);
    return 0;
}
