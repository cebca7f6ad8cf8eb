#include "protocol/capture_ring.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

namespace protocol {
namespace {

constexpr std::string_view ring_suffix = ".pcapng";
/// Of a file: the first packet stands behind interfaces, names and secrets.
constexpr std::size_t look_ahead = 4 << 20;

std::vector<DatedFile> each_once(const std::vector<DatedFile>& files) {
    std::vector<DatedFile> out;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> known;
    for (const DatedFile& file : files) {
        const auto [place, is_new] =
            file.file ? known.try_emplace(*file.file, out.size()) : std::pair(known.end(), true);
        if (is_new) {
            out.push_back(file);
        } else if (!ring_file(out[place->second].path) && ring_file(file.path)) {
            out[place->second].path = file.path;
        }
    }
    return out;
}

}  // namespace

std::string RingFile::path(std::uint64_t other) const {
    return before + std::to_string(other) + std::string(ring_suffix);
}

std::optional<RingFile> ring_file(const std::string& path) {
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    if (!name.starts_with("capture-") || !name.ends_with(ring_suffix)) return std::nullopt;
    const std::string_view stem = std::string_view(path).substr(0, path.size() - ring_suffix.size());
    const std::size_t dash = stem.rfind('-');
    RingFile file{.before = std::string(stem.substr(0, dash + 1))};
    const auto read = std::from_chars(stem.data() + dash + 1, stem.data() + stem.size(), file.number);
    const bool is_number = read.ec == std::errc() && read.ptr == stem.data() + stem.size();
    return is_number && dash + 1 < stem.size() ? std::optional(file) : std::nullopt;
}

std::vector<std::string> in_reading_order(const std::vector<DatedFile>& given) {
    struct Group {
        std::uint64_t time = 0;
        std::size_t place = 0;  // of its first file, as given
    };
    struct Placed {
        std::size_t group = 0;
        std::uint64_t number = 0;
        const std::string* path = nullptr;
    };
    const std::vector<DatedFile> files = each_once(given);
    std::vector<Group> groups;
    std::vector<Placed> placed;
    std::map<std::string, std::size_t> rings;
    for (const DatedFile& file : files) {
        const auto ring = ring_file(file.path);
        std::size_t group = groups.size();
        if (ring) group = rings.try_emplace(ring->before, group).first->second;
        if (group == groups.size()) groups.push_back({.time = file.time, .place = group});
        std::uint64_t& time = groups[group].time;
        if (file.time > 0 && (time == 0 || file.time < time)) time = file.time;
        placed.push_back({.group = group, .number = ring ? ring->number : 0, .path = &file.path});
    }
    const auto key = [&](const Placed& one) {
        const Group& group = groups[one.group];
        return std::tuple(group.time, group.place, one.number);
    };
    std::stable_sort(placed.begin(), placed.end(), [&](const Placed& a, const Placed& b) { return key(a) < key(b); });
    std::vector<std::string> paths;
    for (const Placed& one : placed) paths.push_back(*one.path);
    return paths;
}

bool FirstPacket::look_at(Bytes bytes) {
    seen_ += bytes.size();
    while (const auto block = reader_.next(bytes)) {
        in_file_ = true;
        const auto* packet = std::get_if<pcapng::PacketBlock>(&*block);
        if (packet) time_ = packet->time;
        if (time_ > 0) return false;
    }
    return reader_.error().empty() && seen_ < look_ahead;
}

}  // namespace protocol
