// The audit file: JSON Lines, one event a line, with a hash chain when that is asked for. It holds
// whole lines alone, whatever happens to the disk: half a line that a failed write left is taken
// off again. One thread's.
#pragma once

#include <optional>
#include <string>

#include "proxy/observation/event.hpp"
#include "proxy/record/audit_chain.hpp"

namespace proxy {

enum class Chained { no, yes };

class AuditFile {
   public:
    struct Settings {
        std::string path{};  ///< empty: no file, and what is added is forgotten; "-": standard output
        Chained chained = Chained::no;
        std::string proxy{};  ///< its name, in every line; empty: none
    };

    /// Throws std::runtime_error when it cannot be opened.
    explicit AuditFile(Settings settings);
    ~AuditFile();
    AuditFile(const AuditFile&) = delete;
    AuditFile& operator=(const AuditFile&) = delete;

    /// Puts the event's line behind those that wait for flush().
    void add(const Event& event);
    /// Hands every line to the kernel. Lines that it does not take are lost and logged; the next
    /// ones are tried anew.
    void flush();
    /// Opens the path anew, after the file was renamed. When that fails, the file that is open goes
    /// on being used.
    void reopen();

   private:
    int open();
    void continue_chain();
    void write_out();
    void take_off(std::size_t half_line);

    const std::string path_;
    const std::string proxy_;
    int fd_ = -1;
    std::optional<AuditChain> chain_;
    std::string buffer_;     // whole lines
    std::size_t added_ = 0;  // lines since the last flush
    std::size_t lost_ = 0;   // and those of them that could not be written
    int error_ = 0;          // why
    bool failing_ = false;   // the last flush lost lines: log the change, not each one
    bool torn_ = false;      // the file ends in half a line, which could not be taken off
};

}  // namespace proxy
