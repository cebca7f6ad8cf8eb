#include "bench/replay/capture_lacks.hpp"

#include <boost/json.hpp>
#include <optional>

#include "protocol/capture_ring.hpp"
#include "protocol/captured_absence.hpp"

namespace bench::replay {
namespace {

namespace pcapng = protocol::pcapng;
using protocol::AbsenceKind;

/// Ours are shorter than 4 KiB; a file may have anything.
constexpr std::size_t max_event = 64 * 1024;

std::string text_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<std::uint64_t> count_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    if (!value || !value->is_int64() || value->get_int64() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value->get_int64());
}

bool truth_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_bool() && value->get_bool();
}

}  // namespace

void CaptureLacks::file(const std::string& path) {
    const auto ring = protocol::ring_file(path);
    name_ = ring ? ring->before : path;
    capture_ = captures_.try_emplace(name_, captures_.size()).first->second;
    interfaces_.clear();
    files_.file(path);
    files_.capture(name_);
}

void CaptureLacks::end_of_file(const pcapng::BlockReader& reader) {
    files_.end_of_file(reader.pending(), reader.error(), reader.skipped());
}

void CaptureLacks::block(const pcapng::Block& block) {
    if (const auto* section = std::get_if<pcapng::SectionBlock>(&block)) {
        interfaces_.clear();
        for (const std::string& comment : section->comments)
            failures_only_ = failures_only_ || comment.find("failures only") != std::string::npos;
    } else if (const auto* interface = std::get_if<pcapng::InterfaceBlock>(&block)) {
        interfaces_.push_back(interface->name);
    } else if (const auto* packet = std::get_if<pcapng::PacketBlock>(&block)) {
        files_.goes_on();
        files_.dropped(interface_name(packet->interface), packet->dropped);
    } else if (const auto* statistics = std::get_if<pcapng::Statistics>(&block)) {
        files_.statistics(interface_name(statistics->interface), statistics->dropped);
    } else if (const auto* one = std::get_if<pcapng::JournalBlock>(&block)) {
        files_.goes_on();
        entry(*one);
    }
}

const std::string& CaptureLacks::interface_name(std::uint32_t number) const {
    static const std::string unknown = "an interface without a name";
    return number < interfaces_.size() ? interfaces_[number] : unknown;
}

void CaptureLacks::entry(const pcapng::JournalBlock& entry) {
    const std::string_view text = entry.value("MESSAGE");
    if (text.size() > max_event) return;
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return;
    const boost::json::object& line = value.get_object();
    if (text_at(line, "event") != "capture_absence") return;
    const auto left_out = count_at(line, label(AbsenceKind::left_out));
    const auto not_entered = count_at(line, label(AbsenceKind::not_entered));
    if (left_out && not_entered) {
        absent_.so_far(capture_, {.left_out = *left_out,
                                  .not_entered = *not_entered,
                                  .entries = count_at(line, "entries_dropped").value_or(0)});
        files_.followed(truth_at(line, "goes_on"));
        return;
    }
    const std::string session = text_at(line, "session"), why = text_at(line, "reason");
    if (session.empty()) return;
    if (const auto known = protocol::absence_of_label(why)) {
        absent_.add(capture_, session, *known);
    } else {
        absent_.add(capture_, session, why);
    }
}

std::vector<std::string> CaptureLacks::texts(const std::set<std::string>& only) const {
    std::vector<std::string> out;
    for (const std::string& text : absent_.texts(only)) out.push_back("not in the capture: " + text);
    for (const auto& texts : {files_.drop_texts(), files_.file_texts(), files_.block_texts()})
        out.insert(out.end(), texts.begin(), texts.end());
    if (failures_only_) out.emplace_back("only connections that failed were captured (trigger failures)");
    return out;
}

}  // namespace bench::replay
