// What stands in the body of each kind of pcapng block, between its lengths. A cursor that is not
// ok afterwards: the body is shorter than what it says it holds.
#pragma once

#include "protocol/pcapng_cursor.hpp"
#include "protocol/pcapng_reader.hpp"

namespace protocol::pcapng {

SectionBlock read_section(Cursor& body);
/// `clock`: how the times of its packets are to be read.
InterfaceBlock read_interface(Cursor& body, Clock& clock);
PacketBlock read_packet(Cursor& body);     ///< its time in the interface's ticks
Statistics read_statistics(Cursor& body);  ///< its time in the interface's ticks
SecretsBlock read_secrets(Cursor& body);
NamesBlock read_names(Cursor& body);
JournalBlock read_journal(Cursor& body);

/// Since 1970.
std::uint64_t nanoseconds(std::uint64_t ticks, const Clock& clock) noexcept;

}  // namespace protocol::pcapng
