// A file, a pipe or a terminal to which lines are appended: the audit's and the log's. It holds
// whole lines alone, whatever happens to the disk: half a line that a failed write left is taken
// off again, or ended before the next one. One thread's.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace proxy {

/// A file that the configuration names cannot be written to.
class CannotOpen : public std::runtime_error {
   public:
    /// `error`: an errno.
    CannotOpen(const std::string& what, int error) : std::runtime_error(what), error_(error) {}
    /// It will not be mended by itself, as what a full disk or a reader that is late causes may be.
    bool is_misconfigured() const noexcept;

   private:
    int error_;
};

/// With what would help.
config::Diagnostic unusable_file(const config::Origin& key, const std::string& error);

/// What is in the way of opening a file to append to it, as far as can be seen without making
/// anything. Nothing is opened but a FIFO, which alone tells whether it is read, and that without
/// waiting. When its folder is `made_later`, that and its parents need not be there yet.
struct Obstacle {
    std::string error;             ///< empty: nothing
    bool is_of_this_user = false;  ///< another user may be allowed to
};
Obstacle obstacle_to_writing(const std::string& path, const std::string& made_later = {});

class LineFile {
   public:
    LineFile() = default;
    ~LineFile() { close(); }
    LineFile(const LineFile&) = delete;
    LineFile& operator=(const LineFile&) = delete;

    /// Opens `path`, made 0640 when it is missing, in the place of what is open. Takes seconds at
    /// most: a FIFO that nobody reads and a file system that does not answer are errors. Empty: it
    /// is open; otherwise why not, and what was open goes on being used.
    std::string open(const std::string& path);
    /// Standard output or error.
    void use(int fd);
    bool is_open() const noexcept { return fd_ >= 0; }
    int descriptor() const noexcept { return fd_; }
    /// It has no name any more: nobody will read what is written to it.
    bool is_removed() const noexcept;

    /// Hands lines, each with its newline, to the kernel. Returns how many it did not take.
    std::size_t append(std::string_view lines);
    /// Why it took not all of them, or why open() failed: an errno.
    int error() const noexcept { return error_; }
    /// It ends in half a line, which could not be taken off.
    bool is_torn() const noexcept { return torn_; }

   private:
    void close() noexcept;
    void take_off(std::size_t half_line);

    std::string path_;
    int fd_ = -1;
    bool ours_ = false;  // to be closed, and to be shortened
    bool torn_ = false;
    int error_ = 0;
};

}  // namespace proxy
