// Files that the configuration names, read whole.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "protocol/bytes.hpp"

namespace config {

/// `certificate`, `revocation_list`, `text`: anyone may read them. The others: refused when group
/// or others may, by PostgreSQL's rule (0600 or less when owned by us, 0640 or less when owned by
/// root).
enum class FileKind { certificate, revocation_list, text, private_key, users, secret };

/// 'private key file "/etc/x.key"', for messages.
std::string quoted(const File& file, FileKind kind);

/// Which of PostgreSQL's rules for secret files this one breaks; empty: none, or there is no such
/// file.
std::string why_not_secret(const std::string& path);

/// What was found where a file should be.
struct FileState {
    FileKind kind = FileKind::certificate;
    /// Device, inode, size, times of content and of inode, mode and owner: of the descriptor that
    /// was read, where one could be opened.
    std::string stamp{};
    std::string content{};  ///< a digest of the bytes, or why there are none
};
using FileStates = std::map<std::string, FileState>;  ///< by path

/// Whether all of them hold the same, wherever they lie on the disk.
bool hold_the_same(const FileStates& a, const FileStates& b);

/// The stamp of what is there now. Opens nothing.
std::string file_stamp(const std::string& path);
/// Reads what is there now.
FileState look_at_file(const std::string& path, FileKind kind);

/// Notes what read_file() finds on this thread, for as long as it lives: so whoever waits for a
/// change knows what was loaded, and not what is there a moment later. Of a file that is read twice
/// the first reading counts: if it has changed between, then that is a change.
class FilesRead {
   public:
    /// `apart`: those around it, which otherwise note the same, are told nothing.
    enum class Outer { told, apart };

    explicit FilesRead(Outer outer = Outer::told);
    FilesRead(const FilesRead&) = delete;
    FilesRead& operator=(const FilesRead&) = delete;
    ~FilesRead();

    const FileStates& states() const noexcept { return states_; }
    void note(const std::string& path, const FileState& state);
    /// On this thread; nullptr: nobody notes.
    static FilesRead* innermost() noexcept;

   private:
    FileStates states_;
    FilesRead* const outer_;   // told as well
    FilesRead* const before_;  // the innermost, once this one has gone
};

/// nullopt: unreadable, not a regular file, over 16 MiB, or open to others; an error says which.
std::optional<protocol::Buffer> read_file(const File& file, FileKind kind, std::vector<Diagnostic>& errors);

}  // namespace config
