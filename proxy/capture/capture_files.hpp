// Where a capture's blocks go on disk: a ring of files in a folder of their own, or one file. Whole
// blocks alone stay in a file, whatever the disk does. One thread's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "protocol/bytes.hpp"
#include "proxy/capture/capture_end.hpp"

namespace proxy {

class CaptureFiles {
   public:
    using Clock = std::chrono::steady_clock;

    struct Settings {
        std::string dir;   ///< absolute; made when it is missing
        std::string file;  ///< one file of this name, absolute or within `dir`, which then never grows into another
        std::uint64_t max_file_size = 0;
        std::uint64_t max_total_size = 0;  ///< of all captures in `dir`
        std::uint64_t min_free_space = 0;
        std::chrono::milliseconds max_file_age{0};
    };

    /// Makes the first file. Throws CaptureOver, with what would help.
    CaptureFiles(Settings settings, std::chrono::system_clock::time_point started);
    ~CaptureFiles();
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
    /// Throws CaptureOver when the file was deleted, or the disk is filling up.
    void look(std::size_t more = 0) const;

    /// Nothing more is written.
    void close() noexcept;
    std::uint64_t written() const noexcept { return written_; }

   private:
    void open_folder();
    void begin_ring(std::chrono::system_clock::time_point started);
    bool open_file();
    [[noreturn]] void throw_cannot_make() const;
    void make_room() const;

    Settings settings_;
    std::string stamp_;
    std::string path_;
    int folder_ = -1;
    int fd_ = -1;
    unsigned number_ = 0;
    std::uint64_t size_ = 0;     // of the file
    std::uint64_t written_ = 0;  // of all of them
    Clock::time_point opened_{};
};

}  // namespace proxy
