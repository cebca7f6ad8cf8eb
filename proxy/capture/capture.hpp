// One capture that runs: sessions put finished blocks into its queue, and a thread of its own
// writes them, where nobody waits for the disk. What finds no room is dropped and counted, in the
// file too.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "protocol/pcapng.hpp"
#include "proxy/capture/capture_files.hpp"
#include "proxy/capture/capture_flows.hpp"
#include "proxy/capture/capture_order.hpp"
#include "proxy/capture/capture_stream.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/record/bounded_queue.hpp"

namespace proxy {

/// One leg of one listener in a capture.
struct CaptureInterface {
    std::uint32_t number = 0;
    std::string name;
    std::string description;
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> dropped{0};
    std::atomic<std::uint64_t> rests{0};   ///< of messages whose beginning is not in their file: left out
    std::atomic<std::uint64_t> untold{0};  ///< dropped, and not said in the file so far
};

/// Where a packet stands in its conversation, so that each file, and what follows a gap, begins
/// where a message does: readers find no other one.
struct CapturePlace {
    std::uint64_t conversation = 0;              ///< of the capture, from Capture::conversation(); 0: in none
    bool from_client = false;                    ///< of its two directions
    std::size_t of_before = 0;                   ///< its first bytes that belong to a message which began before
    std::shared_ptr<const std::string> whose{};  ///< told at the conversation's first packet of each file
};

/// A packet that waits; protocol::pcapng::Packet says what is what.
struct CapturePacket {
    CaptureInterface* interface = nullptr;
    std::uint64_t time = 0;
    protocol::Buffer bytes{};
    protocol::pcapng::Direction direction{};
    std::optional<std::uint64_t> id{};
    std::uint64_t dropped = 0;
    std::optional<protocol::pcapng::Process> process{};
    std::string comment{};
    std::string failure{};  ///< of the login that ends behind it: another comment
    CapturePlace place{};
};

/// What waits to be written.
struct CaptureItem {
    protocol::Buffer blocks{};  ///< whole ones
    std::optional<CapturePacket> packet{};
    std::uint64_t forgets = 0;  ///< a session whose keys no later packet needs
    std::chrono::steady_clock::time_point came{};
};
inline std::size_t footprint(const CaptureItem& item) noexcept {
    const std::size_t packet =
        item.packet ? item.packet->bytes.capacity() + item.packet->comment.capacity() + item.packet->failure.capacity()
                    : 0;
    return sizeof item + item.blocks.capacity() + packet;
}

struct CaptureLimits {
    std::size_t queue_bytes = 64 * 1024 * 1024;  ///< what waits to be written
    /// How long, from its end on, what was captured before may still be written; then it is
    /// dropped, and counted.
    std::chrono::milliseconds drain{5000};
};

class Capture {
   public:
    /// With the end of the process, there is less time than that.
    static constexpr std::chrono::milliseconds drain_of_shutdown{2000};
    /// Keys of sessions that are open, and that stand at the beginning of each file.
    static constexpr std::size_t max_secrets = 4 * 1024 * 1024;

    /// Makes its first file, unless `client` is there to write to: a socket behind its
    /// CopyOutResponse. Throws CaptureOver.
    Capture(std::uint64_t id, CaptureOrder order, CaptureFiles::Settings files, OwnedDescriptor client = {},
            CaptureLimits limits = {});
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    // --- From any thread.

    const CaptureOrder& order() const noexcept { return order_; }
    std::uint64_t id() const noexcept { return id_; }
    /// Its number, before anybody else has it.
    void number(std::uint64_t id) noexcept { id_ = id; }
    /// It does not begin after all: its file, which is empty, goes. Before anybody else has it.
    void discard() noexcept;
    /// Nothing more is taken.
    bool over() const noexcept { return end_.load(std::memory_order_relaxed) != CaptureEnd::none; }
    /// What waits is written, as far as it can be soon, and then it ends. The first reason counts.
    /// `by`: who wanted that; empty: nobody, but the reason.
    void end(CaptureEnd why, std::string by = {}) noexcept;
    /// Whatever was ordered.
    void end_after(std::chrono::milliseconds from_now) noexcept;
    CaptureStatus status() const;

    /// The same for the same name. Lives as long as we do.
    CaptureInterface& interface(const std::string& name, const std::string& description);
    /// Shown instead of the address.
    void name(const std::string& address, const std::string& host);
    /// Numbers for as many packets, the first of them.
    std::uint64_t packet_ids(std::uint64_t count) noexcept { return next_id_.fetch_add(count); }
    /// A number for another one.
    std::uint64_t conversation() noexcept { return next_conversation_.fetch_add(1); }
    /// How many were dropped before it is filled in here. Never waits; never throws.
    void write(CapturePacket packet) noexcept;
    /// Of a session's events: `blocks` are a journal entry. Without room it is counted.
    void write_journal(protocol::Buffer blocks) noexcept;
    /// Lines of a key log, each with its end, in every file from now until `forget_secrets`.
    /// False: there is no room for them.
    bool write_secrets(std::uint64_t session, std::string_view lines) noexcept;
    void forget_secrets(std::uint64_t session) noexcept;
    void count_session() noexcept { ++sessions_; }
    /// Of this session (its number) it is not known so far whether the capture is to hold it.
    /// Again: it has names now.
    void login_begins(std::uint64_t session, const SessionRecord& record);
    /// Now it is known. False: the capture ended before, and counts the session as not entered.
    bool login_ended(std::uint64_t session) noexcept;
    /// It was to be captured, and could not be.
    void count_left_out() noexcept { ++sessions_left_out; }
    std::uint64_t left_out() const noexcept { return sessions_left_out; }

    /// What sessions themselves count, from any thread; shown in status() and told at the end.
    std::atomic<std::uint64_t> sessions_left_out{0};     ///< were to be in it, or were, and are not, or not wholly
    std::atomic<std::uint64_t> sessions_not_entered{0};  ///< were open before, and have not entered so far

    // --- The thread that writes.

    /// Until the end; `why` says more of it than its word. Never throws.
    CaptureEnd run(std::string& why) noexcept;

   private:
    using Out = std::variant<CaptureFiles, CaptureStream>;

    void drop_secrets(std::uint64_t session) noexcept;
    void write_all();
    void write_batch(BoundedQueue<CaptureItem>::Batch& batch, protocol::Buffer& chunk);
    void write_last(CaptureEnd ended) noexcept;
    void name_outlived(protocol::Buffer& chunk);
    void take(CaptureItem& item, protocol::Buffer& chunk);
    bool make_place(CaptureFiles& files, std::size_t size, protocol::Buffer& chunk);
    void append(CapturePacket& packet, protocol::Buffer& chunk);
    static void count_dropped(const CapturePacket& packet) noexcept;
    static void count_rest(const CapturePacket& packet) noexcept;
    static void count_dropped(CaptureInterface& interface, std::uint64_t also_untold) noexcept;
    void drop(CaptureItem& item) noexcept;
    void drop_all(BoundedQueue<CaptureItem>::Batch& batch) noexcept;
    void drop_what_waits() noexcept;
    void declare(protocol::Buffer& chunk);
    void begin_file(protocol::Buffer& chunk);
    void end_file(protocol::Buffer& chunk, bool goes_on);
    void flush(protocol::Buffer& chunk);
    void settle(std::uint64_t done) noexcept;
    std::chrono::steady_clock::time_point deadline() const noexcept;
    std::chrono::steady_clock::time_point given_up() const noexcept;
    std::chrono::steady_clock::time_point due() const;
    std::uint64_t written() const;
    std::uint64_t not_entered() const noexcept;

    std::uint64_t id_;
    const CaptureOrder order_;
    const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    static constexpr std::int64_t for_ever = -1;
    std::atomic<std::int64_t> lasts_;               // ms since `began_`
    std::atomic<std::int64_t> given_up_{for_ever};  // likewise: what waits then, once it is over
    const std::chrono::milliseconds drain_;
    std::optional<std::uint64_t> max_size_;
    std::atomic<CaptureEnd> end_{CaptureEnd::none};
    BoundedQueue<CaptureItem> queue_;
    std::atomic<std::uint64_t> next_id_{1}, next_conversation_{1};
    std::atomic<std::uint64_t> sessions_{0}, packets_{0}, bytes_{0}, files_removed_{0}, entries_dropped_{0};

    mutable std::mutex mutex_;
    std::deque<CaptureInterface> interfaces_;  // stay where they are
    std::set<std::pair<std::string, std::string>> names_;
    std::string path_;
    std::string stopped_by_;
    std::map<std::uint64_t, std::string> secrets_;  // of sessions that are open, by their numbers
    std::size_t secrets_size_ = 0;
    std::map<std::uint64_t, SessionRecord> logins_;  // under way, by numbers of sessions; once over: as it was then
    std::string new_secrets_;                        // not in the file so far

    Out out_;  // this and what follows: the writing thread's
    std::size_t declared_interfaces_ = 0;
    std::size_t declared_names_ = 0;
    bool file_has_packets_ = false;
    bool full_ = false;  // nothing more is written
    std::string why_not_all_;
    struct InChunk {
        CaptureInterface* interface = nullptr;  // nullptr: a session's entry
        std::size_t end = 0;                    // of its block, in the chunk
        std::uint64_t untold = 0;               // dropped before, and said in it
    };
    std::vector<InChunk> in_chunk_;  // not written yet
    CaptureFlows flows_;
};

}  // namespace proxy
