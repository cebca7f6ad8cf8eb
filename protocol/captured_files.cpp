#include "protocol/captured_files.hpp"

#include <algorithm>
#include <iterator>

#include "protocol/capture_ring.hpp"
#include "protocol/captured_absence.hpp"
#include "protocol/counted.hpp"
#include "protocol/utf8.hpp"

namespace protocol {
namespace {

std::string was(std::uint64_t count) { return count == 1 ? "was" : "were"; }

/// "3, 5 to 8"
std::string ranges(const std::vector<std::uint64_t>& numbers) {
    std::string out;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        out += (out.empty() ? "" : ", ") + std::to_string(numbers[i]);
        if (last > i) out += " to " + std::to_string(numbers[last]);
        i = last + 1;
    }
    return out;
}

}  // namespace

std::string CapturedFiles::name() const { return file_ == "-" ? "standard input" : printable(file_); }

void CapturedFiles::file(const std::string& path) {
    file_ = path;
    capture_ = path;
    has_end_ = followed_ = false;
    if (const auto ring = ring_file(path)) rings_[ring->before].insert(ring->number);
}

void CapturedFiles::cannot_open(const std::string& path, const std::string& why) {
    files_lack_.push_back(printable(path) + " cannot be read: " + why);
}

void CapturedFiles::end_of_file(std::size_t pending, const std::string& error, std::uint64_t skipped) {
    skipped_ += skipped;
    constexpr std::size_t most = 5;
    if (followed_) {
        if (const auto ring = ring_file(file_)) {
            ring_followed_[ring->before] = std::max(ring_followed_[ring->before], ring->number);
        } else if (others_followed_.size() < most) {
            others_followed_.insert(name());
        }
    }
    if (!has_end_ && ++files_without_end_ <= most) without_end_.push_back(name());
    if (!error.empty()) {
        file_lacks("cannot be read beyond this: " + error);
    } else if (pending > 0) {
        file_lacks("is cut off at its end: " + counted(pending, "byte") + " of a block that has no end");
    }
}

void CapturedFiles::file_lacks(const std::string& why) { files_lack_.push_back(name() + " " + printable(why)); }

void CapturedFiles::dropped(const std::string& interface, std::uint64_t packets) {
    if (packets > 0) drops_[{capture_, interface}].in_packets += packets;
}

void CapturedFiles::statistics(const std::string& interface, std::uint64_t dropped) {
    has_end_ = true;
    if (dropped == 0) return;
    std::uint64_t& so_far = drops_[{capture_, interface}].in_statistics;
    so_far = std::max(so_far, dropped);
}

void CapturedFiles::ring_goes_on(const std::string& path) {
    constexpr std::size_t most = 10;
    if (goes_on_.size() < most) goes_on_.push_back(path);
}

void CapturedFiles::ring_texts(std::vector<std::string>& out) const {
    for (const auto& [before, given] : rings_) {
        const std::string name = printable(before) + "*.pcapng";
        const std::uint64_t first = *given.begin();
        if (first > 1) {
            const std::string which = first == 2 ? "file 1" : "files 1 to " + std::to_string(first - 1);
            out.push_back(which + " of " + name + (first == 2 ? " is" : " are") +
                          " not among these: " + std::string(sentence(Absence::ring_file_gone)));
        }
        std::vector<std::uint64_t> gone;
        constexpr std::size_t most = 1000;
        for (auto it = given.begin(); std::next(it) != given.end(); ++it) {
            for (std::uint64_t n = *it + 1; n < *std::next(it) && gone.size() < most; ++n) gone.push_back(n);
        }
        if (!gone.empty())
            out.push_back("between the files that were given, " + ranges(gone) + " of " + name +
                          " are missing: " + std::string(sentence(Absence::ring_file_gone)));
    }
    for (const auto& [before, number] : ring_followed_) {
        const bool is_beside =
            std::any_of(goes_on_.begin(), goes_on_.end(),
                        [&before = before](const std::string& path) { return path.starts_with(before); });
        if (number == *rings_.at(before).rbegin() && !is_beside)
            out.push_back("the ring " + printable(before) + "*.pcapng goes on behind file " + std::to_string(number) +
                          ": " + std::string(sentence(Absence::ring_file_gone)));
    }
    for (const std::string& name : others_followed_)
        out.push_back(name + " was one file of a ring, and others of it came behind: they are not known by its name");
    for (const std::string& path : goes_on_)
        out.push_back("the ring goes on with " + printable(path) + ", which was not given");
}

/// How the files ended.
void CapturedFiles::end_texts(std::vector<std::string>& out) const {
    if (files_without_end_ > 0) {
        std::string which;
        for (const std::string& name : without_end_) which += (which.empty() ? "" : ", ") + name;
        if (files_without_end_ > without_end_.size())
            which += " and " + counted(files_without_end_ - without_end_.size(), "other");
        out.push_back(which + (files_without_end_ == 1 ? " has" : " have") + " " +
                      std::string(sentence(Absence::file_not_closed)));
    }
}

std::vector<std::string> CapturedFiles::drop_texts() const {
    std::map<std::string, std::uint64_t> dropped;
    for (const auto& [place, drops] : drops_) dropped[place.second] += std::max(drops.in_packets, drops.in_statistics);
    std::vector<std::string> out;
    for (const auto& [interface, packets] : dropped) {
        out.push_back(counted(packets, "packet") + " " + std::string(sentence(Absence::dropped)) + " and " +
                      was(packets) + " dropped (" + printable(interface) + ")");
    }
    return out;
}

std::vector<std::string> CapturedFiles::block_texts() const {
    if (skipped_ == 0) return {};
    return {counted(skipped_, "block") + " of a kind that pgairlock does not write " + was(skipped_) + " passed over"};
}

std::vector<std::string> CapturedFiles::file_texts() const {
    std::vector<std::string> out = files_lack_;
    ring_texts(out);
    end_texts(out);
    return out;
}

}  // namespace protocol
