#include "protocol/pcapng.hpp"

#include <algorithm>

#include "protocol/endpoint.hpp"
#include "protocol/pcapng_format.hpp"
#include "protocol/utf8.hpp"

namespace protocol::pcapng {

namespace {

template <class T>
void put(Buffer& out, T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}
void put(Buffer& out, Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void put(Buffer& out, std::string_view text) { put(out, as_bytes(text)); }

/// The longest front of it that fits into a 16-bit length and ends with a whole character.
std::string_view fitting(std::string_view text, std::size_t limit = 0xffff) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<std::uint8_t>(text[limit]) & 0xc0) == 0x80) --limit;
    return text.substr(0, limit);
}

/// One block, from its type to the second of its lengths.
class BlockWriter {
   public:
    BlockWriter(Buffer& out, BlockType type) : out_(out), begin_(out.size()) {
        put(static_cast<std::uint32_t>(type));
        put(std::uint32_t{0});  // its length, filled at the end
    }
    BlockWriter(const BlockWriter&) = delete;
    BlockWriter& operator=(const BlockWriter&) = delete;

    /// Nothing may follow. No destructor: memory can be all.
    void end() {
        if (has_options_) put(std::uint32_t{0});
        const auto length = static_cast<std::uint32_t>(out_.size() - begin_ + 4);
        for (std::size_t i = 0; i < 4; ++i) out_[begin_ + 4 + i] = static_cast<std::uint8_t>(length >> 8 * i);
        put(length);
    }

    template <class T>
    void put(const T& value) {
        pcapng::put(out_, value);
    }
    void pad() { out_.resize(out_.size() + (begin_ - out_.size()) % 4); }
    /// High half first: two 32-bit numbers, whatever the byte order.
    void time(std::uint64_t ns) {
        put(static_cast<std::uint32_t>(ns >> 32));
        put(static_cast<std::uint32_t>(ns));
    }

    template <class T>
    void option(std::uint16_t code, T value) {
        begin_option(code, sizeof value);
        put(value);
        pad();
    }
    void text_option(std::uint16_t code, std::string_view text) {
        if (text.empty()) return;
        text = fitting(text);
        begin_option(code, text.size());
        put(text);
        pad();
    }

   private:
    void begin_option(std::uint16_t code, std::size_t size) {
        has_options_ = true;
        put(code);
        put(static_cast<std::uint16_t>(size));
    }

    Buffer& out_;
    std::size_t begin_;
    bool has_options_ = false;
};

/// Readers may take a line's value as it is: then it can hold no line feed, and nothing that is no
/// text (systemd's JOURNAL_EXPORT_FORMATS).
bool fits_line(std::string_view value) {
    while (!value.empty()) {
        const std::size_t size = character_length(value);
        if (size == 0 || (static_cast<std::uint8_t>(value[0]) < ' ' && value[0] != '\t')) return false;
        value.remove_prefix(size);
    }
    return true;
}

}  // namespace

void append_section(Buffer& out, std::string_view application, std::string_view system, std::string_view comment) {
    BlockWriter block(out, BlockType::section);
    block.put(byte_order_magic);
    block.put(std::uint16_t{1});  // version 1.0
    block.put(std::uint16_t{0});
    block.put(~std::uint64_t{0});  // the section's length: unknown, it is written as it grows
    block.text_option(option::system, system);
    block.text_option(option::application, application);
    block.text_option(option::comment, comment);
    block.end();
}

void append_interface(Buffer& out, std::string_view name, std::string_view description) {
    BlockWriter block(out, BlockType::interface);
    block.put(link_type_raw);
    block.put(std::uint16_t{0});
    block.put(std::uint32_t{0});  // packets of any size
    block.text_option(option::interface_name, name);
    block.text_option(option::interface_description, description);
    block.option(option::time_resolution, std::uint8_t{9});
    block.end();
}

void append_packet(Buffer& out, const Packet& packet) {
    BlockWriter block(out, BlockType::packet);
    block.put(packet.interface);
    block.time(packet.time);
    block.put(static_cast<std::uint32_t>(packet.bytes.size()));
    block.put(static_cast<std::uint32_t>(std::max(packet.original_size, packet.bytes.size())));
    block.put(packet.bytes);
    block.pad();
    block.option(option::flags, static_cast<std::uint32_t>(packet.direction));
    if (packet.dropped) block.option(option::dropped, packet.dropped);
    if (packet.id) block.option(option::packet_id, *packet.id);
    if (packet.process)
        block.option(option::process, std::uint64_t{packet.process->thread} << 32 | packet.process->pid);
    for (const std::string& comment : packet.comments) block.text_option(option::comment, comment);
    block.end();
}

void append_secrets(Buffer& out, std::string_view lines) {
    BlockWriter block(out, BlockType::secrets);
    block.put(tls_key_log);
    block.put(static_cast<std::uint32_t>(lines.size()));
    block.put(lines);
    block.pad();
    block.end();
}

void append_names(Buffer& out, std::span<const Name> names) {
    BlockWriter block(out, BlockType::names);
    const auto record = [&](const Endpoint& endpoint, std::string_view name) {
        const Bytes address = address_bytes(endpoint);
        name = fitting(name, 0xffff - address.size() - 1);
        block.put(endpoint.v6 ? name_record::v6 : name_record::v4);
        block.put(static_cast<std::uint16_t>(address.size() + name.size() + 1));
        block.put(address);
        block.put(name);
        block.put(std::uint8_t{0});
        block.pad();
    };
    for (const Name& name : names) {
        const auto endpoint = parse_endpoint(name.address);
        const std::string_view text = name.name.c_str();  // up to a NUL, which would end it
        if (!endpoint || text.empty()) continue;
        record(*endpoint, text);
        if (!endpoint->v6) record(as_v6(*endpoint), text);
    }
    block.put(std::uint32_t{0});  // no more of them
    block.end();
}

void append_journal_entry(Buffer& out, std::span<const Field> fields) {
    BlockWriter block(out, BlockType::journal);
    for (const Field& field : fields) {
        block.put(field.key);
        if (fits_line(field.value)) {
            block.put(std::string_view("="));
        } else {
            block.put(std::string_view("\n"));
            block.put(static_cast<std::uint64_t>(field.value.size()));
        }
        block.put(field.value);
        block.put(std::string_view("\n"));
    }
    block.pad();
    block.end();
}

void append_statistics(Buffer& out, const Statistics& statistics) {
    BlockWriter block(out, BlockType::statistics);
    block.put(statistics.interface);
    block.time(statistics.time);
    block.option(option::statistics_received, statistics.received);
    block.option(option::statistics_dropped, statistics.dropped);
    block.end();
}

}  // namespace protocol::pcapng
