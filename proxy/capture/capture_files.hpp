// Where a capture's blocks go on disk: a ring of files in a folder of their own, or one file. Whole
// blocks alone stay in a file, whatever the disk does. One thread's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "protocol/bytes.hpp"
#include "proxy/capture/capture_end.hpp"
#include "proxy/capture/capture_folder.hpp"
#include "proxy/capture/owned_descriptor.hpp"

namespace proxy {

class CaptureFiles {
   public:
    using Clock = std::chrono::steady_clock;

    struct Settings {
        std::string dir;   ///< absolute; made when it is missing
        std::string file;  ///< one file of this name, absolute or within `dir`, which then never grows into another
        std::uint64_t max_file_size = 0;
        std::uint64_t max_total_size = 0;  ///< of all captures in `dir`, bytes; 0: no limit
        std::uint64_t min_free_space = 0;
        std::chrono::milliseconds max_file_age{0};
    };

    /// Makes the first file. Throws CaptureOver, with what would help.
    CaptureFiles(Settings settings, std::chrono::system_clock::time_point started);
    CaptureFiles(const CaptureFiles&) = delete;
    CaptureFiles& operator=(const CaptureFiles&) = delete;

    /// Folder, or file.
    const std::string& where() const noexcept { return settings_.file.empty() ? settings_.dir : settings_.file; }
    /// The one that is being written.
    const std::string& path() const noexcept { return path_; }

    /// `blocks`: whole ones. Throws CaptureOver; whole blocks of it may have been written.
    void write(protocol::Bytes blocks);
    /// Ends the file and begins the next one; the oldest ones make room for it.
    void next_file();
    /// Whether `more` bytes belong into the next file.
    bool wants_next(std::size_t more) const noexcept;
    /// Where `more` bytes belong, by wants_next() and by max_total_size, for which the oldest file
    /// may be removed; `nowhere`: what is left cannot be removed (why_full()).
    enum class Room { here, in_next_file, nowhere };
    Room room_for(std::size_t more);
    std::string why_full() const;
    /// Throws CaptureOver when the file was deleted, or the disk is filling up.
    void look(std::size_t more = 0) const;

    /// A file in which nothing is goes.
    void remove_empty() noexcept;
    /// Nothing more is written.
    void close() noexcept;
    std::uint64_t written() const noexcept { return written_; }
    /// Nothing is in the file so far.
    bool is_empty() const noexcept { return size_ == 0; }
    /// Files that this capture has removed, of whichever captures.
    std::uint64_t removed() const noexcept { return removed_; }

   private:
    void open_folder();
    void begin_ring(std::chrono::system_clock::time_point started);
    bool open_file();
    [[noreturn]] void throw_cannot_make() const;
    bool make_room(std::uint64_t more);
    void count(std::size_t bytes) noexcept;

    Settings settings_;
    std::string stamp_;
    std::string path_;
    OwnedDescriptor folder_;
    std::shared_ptr<CaptureFolder> use_;  // nullptr: the file is elsewhere, where nobody counts
    OwnedDescriptor fd_;
    unsigned number_ = 0;
    std::uint64_t size_ = 0;     // of the file
    std::uint64_t written_ = 0;  // of all of them
    std::uint64_t removed_ = 0;  // files
    Clock::time_point opened_{};
};

}  // namespace proxy
