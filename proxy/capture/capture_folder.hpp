// What captures have left in a folder, and what has to go for max_total_size: the files of rings,
// which are removed, the oldest first, and files that somebody named, which only count.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace proxy {

/// Shared by all captures of this process that write into the same folder. From any thread.
class CaptureFolder {
   public:
    struct Removed {
        std::string name;
        std::uint64_t size = 0;  ///< bytes
    };

    /// The same for the same folder; `folder`: a descriptor of it, which we do not keep.
    static std::shared_ptr<CaptureFolder> of(int folder);

    void wrote(std::uint64_t bytes) noexcept { total_ += bytes; }
    /// As far as we know without a look.
    bool has_room(std::uint64_t more, std::uint64_t max_total) const noexcept { return total_ + more <= max_total; }
    /// Looks, and removes the oldest files that nobody writes, in this process or another, until
    /// `more` bytes are within `max_total`. What was removed is added to `removed`. False: all that
    /// is left is being written, or was named by somebody.
    bool make_room(int folder, std::uint64_t more, std::uint64_t max_total, std::vector<Removed>& removed);
    /// Names of files of rings.
    static std::vector<std::string> ring_files(int folder);

    /// Why captures could not be written into this folder, and what to do, as far as can be seen
    /// without making anything; empty: nothing is in the way. `dir`: absolute.
    static std::string obstacle(const std::string& dir, std::uint64_t min_free_space);

   private:
    std::mutex mutex_;
    std::atomic<std::uint64_t> total_{0};
};

/// Of a ring's file.
inline constexpr const char* capture_file_prefix = "capture-";
inline constexpr const char* capture_file_suffix = ".pcapng";

}  // namespace proxy
