#include "bench/replay/capture_lacks.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "protocol/capture_ring.hpp"
#include "protocol/captured_absence.hpp"

namespace bench::replay {
namespace {

namespace pcapng = protocol::pcapng;
using protocol::Absence;
using protocol::AbsenceKind;

/// Ours are shorter than 4 KiB; a file may have anything.
constexpr std::size_t max_event = 64 * 1024;
constexpr std::size_t max_word = 100;
/// Beyond it they are counted as far as the ends of files do.
constexpr std::size_t max_named = 200'000;

std::string counted(std::uint64_t count, const std::string& one) {
    return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

std::string text_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()).substr(0, max_word) : "";
}

std::optional<std::uint64_t> count_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    if (!value || !value->is_int64() || value->get_int64() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value->get_int64());
}

/// A word of a later version is none of ours: it counts as one that was left out.
bool is_not_entered(const std::string& why) {
    const auto absence = protocol::absence_of_label(why);
    return absence && protocol::kind(*absence) == AbsenceKind::not_entered;
}

std::string in_words(const std::string& why) {
    const auto absence = protocol::absence_of_label(why);
    if (absence) return std::string(protocol::sentence(*absence));
    return "absent for a reason that this version does not know (" + why + ")";
}

std::uint64_t beyond(std::uint64_t said, std::uint64_t named) { return said - std::min(said, named); }

/// "1, 5 to 8"
std::string ranges(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& gone) {
    std::string out;
    for (const auto& [first, last] : gone) {
        out += (out.empty() ? "" : ", ") + std::to_string(first);
        if (last > first) out += " to " + std::to_string(last);
    }
    return out;
}

}  // namespace

void CaptureLacks::file(const std::string& path) {
    path_ = capture_ = path;
    interfaces_.clear();
    has_end_ = false;
    const auto ring = protocol::ring_file(path);
    if (!ring) return;
    capture_ = ring->before;
    rings_[ring->before].insert(ring->number);
}

void CaptureLacks::end_of_file(const pcapng::BlockReader& reader) {
    if (!has_end_) unfinished_.push_back(path_);
    if (!reader.error().empty()) cut_.push_back(path_ + " cannot be read to its end: " + reader.error());
    if (reader.error().empty() && reader.pending() > 0) cut_.push_back(path_ + " ends in the middle of a block");
    skipped_ += reader.skipped();
}

void CaptureLacks::block(const pcapng::Block& block) {
    if (const auto* section = std::get_if<pcapng::SectionBlock>(&block)) {
        interfaces_.clear();
        for (const std::string& comment : section->comments)
            failures_only_ = failures_only_ || comment.find("failures only") != std::string::npos;
    } else if (const auto* interface = std::get_if<pcapng::InterfaceBlock>(&block)) {
        interfaces_.push_back(interface->name);
    } else if (const auto* packet = std::get_if<pcapng::PacketBlock>(&block)) {
        has_end_ = false;
        if (packet->dropped > 0) drops_[{capture_, interface_name(packet->interface)}].in_packets += packet->dropped;
    } else if (const auto* statistics = std::get_if<pcapng::Statistics>(&block)) {
        has_end_ = true;
        if (statistics->dropped == 0) return;
        std::uint64_t& so_far = drops_[{capture_, interface_name(statistics->interface)}].in_statistics;
        so_far = std::max(so_far, statistics->dropped);
    } else if (const auto* one = std::get_if<pcapng::JournalBlock>(&block)) {
        has_end_ = false;
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
    OfCapture& of = captures_[capture_];
    const auto left_out = count_at(line, label(AbsenceKind::left_out));
    const auto not_entered = count_at(line, label(AbsenceKind::not_entered));
    if (left_out && not_entered) {
        // Who has not entered may do so in a later file; the others only become more.
        of.said = {.left_out = std::max(of.said.left_out, *left_out),
                   .not_entered = *not_entered,
                   .entries = std::max(of.said.entries, count_at(line, "entries_dropped").value_or(0))};
        return;
    }
    const std::string session = text_at(line, "session");
    if (session.empty() || named_ >= max_named) return;
    named_ += of.absent.try_emplace(session, text_at(line, "reason")).second;
}

void CaptureLacks::has_session(const std::string& session) {
    const auto of = captures_.find(capture_);
    if (of == captures_.end()) return;
    const auto found = of->second.absent.find(session);
    if (found == of->second.absent.end() || found->second != label(Absence::not_entered)) return;
    of->second.absent.erase(found);
    --named_;
}

void CaptureLacks::absent_texts(std::vector<std::string>& out, const std::set<std::string>& only) const {
    std::map<std::string, std::uint64_t> reasons;
    AbsentCount nameless;
    for (const auto& [name, capture] : captures_) {
        AbsentCount named;
        for (const auto& [session, why] : capture.absent) {
            ++(is_not_entered(why) ? named.not_entered : named.left_out);
            if (only.empty() || only.contains(session)) ++reasons[why];
        }
        nameless.left_out += beyond(capture.said.left_out, named.left_out);
        nameless.not_entered += beyond(capture.said.not_entered, named.not_entered);
        nameless.entries += capture.said.entries;
    }
    for (const auto& [why, sessions] : reasons)
        out.push_back("not in the capture: " + counted(sessions, "session") + " " + in_words(why));
    if (nameless.left_out > 0)
        out.push_back("not in the capture, or not whole: " + counted(nameless.left_out, "session") +
                      " left out, without an entry in these files that says which");
    if (nameless.not_entered > 0)
        out.push_back("not in the capture: " + counted(nameless.not_entered, "session") +
                      " open before it, without an entry in these files that says which");
    if (nameless.entries > 0)
        out.push_back(counted(nameless.entries, "audit event") +
                      " found no room in the capture: how sessions were opened, or that they failed, may not be known");
}

void CaptureLacks::drop_texts(std::vector<std::string>& out) const {
    std::map<std::string, std::uint64_t> by_interface;
    for (const auto& [place, drops] : drops_)
        by_interface[place.second] += std::max(drops.in_packets, drops.in_statistics);
    for (const auto& [interface, packets] : by_interface)
        out.push_back(counted(packets, "packet") + (packets == 1 ? " was" : " were") +
                      " dropped while the capture was written (" + interface + ")");
}

void CaptureLacks::file_texts(std::vector<std::string>& out) const {
    out.insert(out.end(), cut_.begin(), cut_.end());
    for (const auto& [before, given] : rings_) {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;
        std::uint64_t next = 1;
        for (const std::uint64_t number : given) {
            if (number > next) gone.emplace_back(next, number - 1);
            next = number + 1;
        }
        if (gone.empty()) continue;
        const bool one = gone.size() == 1 && gone[0].first == gone[0].second;
        out.push_back((one ? "file " : "files ") + ranges(gone) + " of " + before + "*.pcapng " + (one ? "is" : "are") +
                      " not among these: " + std::string(sentence(Absence::ring_file_gone)));
    }
    for (const std::string& path : goes_on_) out.push_back("the ring goes on with " + path + ", which was not given");
    for (const std::string& path : unfinished_)
        out.push_back(path + " has " + std::string(sentence(Absence::file_not_closed)));
}

std::vector<std::string> CaptureLacks::texts(const std::set<std::string>& only) const {
    std::vector<std::string> out;
    absent_texts(out, only);
    drop_texts(out);
    file_texts(out);
    if (skipped_ > 0)
        out.push_back(counted(skipped_, "block") + " of a kind that pgairlock does not write " +
                      (skipped_ == 1 ? "was" : "were") + " passed over");
    if (failures_only_) out.push_back("only connections that failed were captured (trigger failures)");
    return out;
}

}  // namespace bench::replay
