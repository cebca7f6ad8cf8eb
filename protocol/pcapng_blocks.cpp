#include "protocol/pcapng_blocks.hpp"

#include <algorithm>

#include "protocol/endpoint.hpp"

namespace protocol::pcapng {

SectionBlock read_section(Cursor& body) {
    SectionBlock section;
    body.take(16);  // byte order, which is known, version, length
    body.options([&](std::uint16_t code, Cursor& value) {
        if (code == option::application) section.application = value.text();
        if (code == option::system) section.system = value.text();
        if (code == option::comment) section.comments.push_back(value.text());
    });
    return section;
}

InterfaceBlock read_interface(Cursor& body, Clock& clock) {
    InterfaceBlock interface;
    interface.link_type = body.u16();
    body.take(6);  // reserved, longest packet
    body.options([&](std::uint16_t code, Cursor& value) {
        if (code == option::interface_name) interface.name = value.text();
        if (code == option::interface_description) interface.description = value.text();
        if (code == option::time_resolution) clock.resolution = value.u8();
        if (code == option::time_offset) clock.offset = static_cast<std::int64_t>(value.u64());
    });
    return interface;
}

PacketBlock read_packet(Cursor& body) {
    PacketBlock packet;
    packet.interface = body.u32();
    packet.time = body.time();
    const std::size_t size = body.u32();
    packet.original_size = body.u32();
    const Bytes bytes = body.padded(size);
    packet.bytes.assign(bytes.begin(), bytes.end());
    body.options([&](std::uint16_t code, Cursor& value) {
        if (code == option::comment) packet.comments.push_back(value.text());
        if (code == option::dropped) packet.dropped = value.u64();
        if (code == option::packet_id) packet.id = value.u64();
        if (code == option::process) {
            packet.process.emplace();
            packet.process->pid = value.u32();
            packet.process->thread = value.u32();
        }
        if (code == option::flags) {
            const std::uint32_t direction = value.u32() & 3;
            if (direction == 1 || direction == 2) packet.direction = static_cast<Direction>(direction);
        }
    });
    return packet;
}

SecretsBlock read_secrets(Cursor& body) {
    SecretsBlock secrets;
    secrets.type = body.u32();
    secrets.size = body.u32();
    body.padded(secrets.size);
    return secrets;
}

NamesBlock read_names(Cursor& body) {
    NamesBlock block;
    while (!body.rest().empty()) {
        const std::uint16_t type = body.u16();
        const Bytes record = body.padded(body.u16());
        if (type == name_record::end) break;
        if (type != name_record::v4 && type != name_record::v6) continue;
        Endpoint endpoint{.v6 = type == name_record::v6};
        Reader reader(record);
        const Bytes address = reader.take(endpoint.v6 ? 16 : 4);
        std::copy(address.begin(), address.end(), endpoint.address.begin());
        while (reader.ok() && !reader.rest().empty())
            block.names.push_back({.address = address_text(endpoint), .name = std::string(reader.cstring())});
        if (!reader.ok()) body.fail();
    }
    return block;
}

/// The journal's export format, whose lengths are little-endian everywhere.
JournalBlock read_journal(Cursor& body) {
    JournalBlock block;
    Bytes entry = body.take(body.rest().size());
    while (!entry.empty() && entry.back() == 0) entry = entry.first(entry.size() - 1);  // padding
    while (!entry.empty()) {
        const std::string_view text = as_text(entry);
        const std::string_view line = text.substr(0, text.find('\n'));
        entry = entry.subspan(std::min(line.size() + 1, entry.size()));
        if (line.empty()) continue;  // entries end with an empty line when there are several
        if (const std::size_t equals = line.find('='); equals != std::string_view::npos) {
            block.fields.emplace_back(line.substr(0, equals), line.substr(equals + 1));
            continue;
        }
        Cursor binary(entry, false);
        const std::uint64_t size = binary.u64();
        const std::string_view value = as_text(binary.take(size));
        if (as_text(binary.take(1)) != "\n") {
            body.fail();
            break;
        }
        block.fields.emplace_back(line, value);
        entry = binary.rest();
    }
    return block;
}

Statistics read_statistics(Cursor& body) {
    Statistics statistics;
    statistics.interface = body.u32();
    statistics.time = body.time();
    body.options([&](std::uint16_t code, Cursor& value) {
        if (code == option::statistics_received) statistics.received = value.u64();
        if (code == option::statistics_dropped) statistics.dropped = value.u64();
    });
    return statistics;
}

std::string_view JournalBlock::value(std::string_view key) const {
    const auto found =
        std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == key; });
    return found == fields.end() ? std::string_view() : found->second;
}

std::uint64_t nanoseconds(std::uint64_t ticks, const Clock& clock) noexcept {
    constexpr std::uint64_t second = 1'000'000'000;
    const std::uint64_t offset = static_cast<std::uint64_t>(clock.offset) * second;  // before 1970 by wrapping round
    unsigned power = clock.resolution & 0x7f;
    if (clock.resolution & 0x80) {
        if (power > 63) return offset;
        const std::uint64_t seconds = ticks >> power;
        std::uint64_t fraction = ticks - (seconds << power);
        for (; power > 34; --power) fraction >>= 1;  // 2^34 seconds are the most whose nanoseconds fit
        return offset + seconds * second + (fraction * second >> power);
    }
    for (; power > 9 && ticks; --power) ticks /= 10;
    for (; power < 9; ++power) ticks *= 10;
    return offset + ticks;
}

}  // namespace protocol::pcapng
