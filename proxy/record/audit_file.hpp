// The audit file: JSON Lines, one event a line, with a hash chain when that is asked for. One
// thread's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/record/audit_chain.hpp"
#include "proxy/record/audit_share.hpp"
#include "proxy/record/line_file.hpp"

namespace proxy {

enum class Chained { no, yes };

/// Where `audit.file` is: empty for none, "-" for standard output.
std::string audit_path(const config::Audit& audit, const std::string& state_dir);

class AuditFile {
   public:
    struct Settings {
        std::string path{};  ///< empty: no file, and what is added is forgotten; "-": standard output
        Chained chained = Chained::no;
        std::string proxy{};  ///< its name, in every line; empty: none
        /// What processes that write the same audit tell each other by; empty: nobody else does.
        std::string share{};
        /// We came by an upgrade: what is written to no file goes on as well.
        bool goes_on = false;
    };

    /// Throws CannotOpen.
    explicit AuditFile(Settings settings);
    ~AuditFile();
    AuditFile(const AuditFile&) = delete;
    AuditFile& operator=(const AuditFile&) = delete;

    /// Puts the event's line behind those that wait for flush(). Without memory for it, it is lost,
    /// and counted as such: neither of these throws.
    void add(const Event& event);
    /// Hands every line to the kernel. Lines that it does not take are lost and logged; the next
    /// ones are tried anew.
    void flush();
    /// Events that were lost since this was asked last. The file itself says so once it takes lines
    /// again, in one events_dropped; whoever asks tells everybody else.
    std::uint64_t take_lost() noexcept;
    /// Opens the path anew, after the file was renamed. When that fails, the file that is open goes
    /// on being used. Throws std::bad_alloc, and has done nothing then.
    void reopen();
    /// Another process may write the same audit as well.
    bool is_open() const noexcept { return file_.is_open(); }
    bool is_shared() const noexcept { return share_.is_open(); }

   private:
    /// Of the buffer: either events, or one line that says how many were lost.
    struct Lines {
        std::uint64_t events = 0;
        std::uint64_t told = 0;
    };

    std::string open();
    void begin_turn();
    void catch_up(const AuditShare::Place& now);
    void end_turn() noexcept;
    void follow(const AuditShare::Place& left);
    void follow_cut_off();
    AuditShare::Place place() const noexcept;
    bool replace_removed();
    void tell_lost();
    void tell_file_of_lost();
    void continue_chain();
    void lost(Lines lines, int error) noexcept;
    void write_out();

    const std::string path_;
    const std::string proxy_;
    LineFile file_;
    std::optional<AuditChain> chain_;
    AuditShare share_;
    bool is_our_turn_ = false;
    AuditShare::Place left_;        // as it was when our last turn ended
    std::string buffer_;            // whole lines
    Lines waiting_;                 // what they are
    std::size_t added_ = 0;         // lines since the last flush
    std::uint64_t lost_ = 0;        // events that are not in the file, since it took all
    std::uint64_t told_ = 0;        // of them, in the log
    std::uint64_t newly_lost_ = 0;  // not yet taken
    bool losing_ = false;           // in what is being written now
    int error_ = 0;                 // why
    bool removal_told_ = false;
    std::chrono::steady_clock::time_point next_tell_{};
    std::chrono::steady_clock::time_point next_open_{};  // of one that was removed
};

}  // namespace proxy
