#include "proxy/command/capture_groups.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "proxy/transcript/capture_name.hpp"

namespace proxy::command {
namespace {

namespace pcapng = protocol::pcapng;

/// A section is a file's first block.
constexpr std::size_t look_ahead = 64 * 1024;

transcript::CaptureName name_of(const std::string& path) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) return {};  // what is a pipe is opened once
    std::ifstream file(path, std::ios::binary);
    std::vector<std::uint8_t> buffer(look_ahead);
    file.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(buffer.size()));
    protocol::Bytes bytes = protocol::Bytes(buffer).first(static_cast<std::size_t>(file.gcount()));
    pcapng::BlockReader reader;
    const auto block = reader.next(bytes);
    const auto* section = block ? std::get_if<pcapng::SectionBlock>(&*block) : nullptr;
    return section ? transcript::capture_name(path, *section) : transcript::CaptureName{};
}

}  // namespace

std::vector<std::vector<std::string>> by_capture(const std::vector<std::string>& files) {
    struct Group {
        transcript::CaptureName name;
        std::vector<std::string> files;
    };
    std::vector<Group> groups;
    for (const std::string& path : files) {
        transcript::CaptureName name = name_of(path);
        const auto known = std::find_if(groups.begin(), groups.end(),
                                        [&](const Group& one) { return one.name.identity == name.identity; });
        if (known != groups.end()) {
            known->files.push_back(path);
        } else {
            groups.push_back({.name = std::move(name), .files = {path}});
        }
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [](const Group& a, const Group& b) { return a.name.richness() > b.name.richness(); });
    std::vector<std::vector<std::string>> out;
    for (Group& group : groups) out.push_back(std::move(group.files));
    return out;
}

}  // namespace proxy::command
