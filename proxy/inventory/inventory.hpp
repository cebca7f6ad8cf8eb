// The durable inventory: every client ever seen, what it was seen to do, and the certificates that
// servers showed. What events say is aggregated in memory (learning.hpp) and stored in batches, so
// that what a connection costs does not depend on the disk. One thread's; belongs to the audit.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/inventory/inventory_store.hpp"
#include "proxy/inventory/learning.hpp"
#include "proxy/inventory/unwritten.hpp"
#include "proxy/observation/server_certificates.hpp"

namespace proxy {

class Fleet;

class Inventory {
   public:
    using Clock = std::chrono::steady_clock;

    struct Settings {
        std::string path;
        std::chrono::milliseconds retention{0};  ///< what was not seen for so long is forgotten; zero: never
        ProxyFacts proxy{};                      ///< who writes it
        std::string name_pattern{};              ///< [audit] application_name_pattern
    };

    /// Throws std::runtime_error when the file cannot be used.
    explicit Inventory(Settings settings);
    ~Inventory();

    /// From now on `fleet` is told of changes, and ended with this.
    void share(std::unique_ptr<Fleet> fleet);
    /// Another retention, from any thread: taken up with the next flush().
    void retain_for(std::chrono::milliseconds retention);
    /// What probing did before the start.
    void restore(Probes& probes);
    const std::string& instance() const noexcept { return store_.instance(); }
    /// What servers have shown, as far as it is stored, the oldest first.
    std::vector<ShownCertificate> known_certificates() {
        return store_.last_certificates(ServerCertificates::max_remembered);
    }

    /// Takes what the event says about clients, servers and probes. No I/O.
    void absorb(const Event& event);
    void absorb(const ServerLook& look);
    /// There was more than is in the file, and nobody knows how much. Throws SqliteError.
    void has_gap() { store_.has_gap(to_timestamp(std::chrono::system_clock::now())); }
    /// Events that it will never be given.
    void lost(std::uint64_t events) noexcept { events_lost_ += events; }
    /// When flush() is to be called next: when there is something to store, and every minute, to
    /// say that we are here.
    Clock::time_point due() const noexcept {
        const bool waiting = learning_.changes().rows > 0 || events_lost_ > 0 || retention_.load() != pruned_for_;
        return waiting ? std::min(next_flush_, next_heartbeat_) : next_heartbeat_;
    }
    /// Stores what was absorbed, and gives what is news for the audit. What cannot be stored is
    /// kept, within limits, and tried again; so it is where this throws, which only std::bad_alloc
    /// makes it do, and nothing was stored then.
    /// inventory_failed is among it, once, when nothing could be stored for as long as `patience`.
    std::vector<Event> flush();
    /// How long it may take to store something before that is told.
    static constexpr std::chrono::seconds patience{10};
    /// What waits, when nothing could be stored for as long as that.
    std::optional<Unwritten> unwritten() const;
    /// What the fleet's database does not have; nullopt: it has all, or there is none.
    std::optional<Unshared> unshared() const;
    /// Why this file can be used no more; empty: it can.
    const std::string& damage() const noexcept { return damage_; }

   private:
    void something_waits(bool nothing_waited);
    void stored();
    void failed(const SqliteError& error);
    void tell_unwritten(std::vector<Event>& news);
    void tell_unshared(std::vector<Event>& news);
    void goes_well();
    void heartbeat(Timestamp now);
    void prune();
    Timestamp latest() const;
    void tell_fleet(Timestamp since);
    void end_fleet();

    const std::string path_;
    std::atomic<std::chrono::milliseconds> retention_;
    std::chrono::milliseconds pruned_for_{-1};  // the retention that was last obeyed
    InventoryStore store_;
    Learning learning_;
    Probes* probes_ = nullptr;                  // to be told whether it is written down what they cost
    std::uint64_t events_lost_ = 0;             // not yet in the file
    std::uint64_t forgotten_ = 0;               // rows that had to make room for others, as far as it was told
    std::optional<Clock::time_point> failing_;  // since when; log the change, not each attempt
    std::chrono::system_clock::time_point failing_since_{};  // the same by the wall's clock
    std::string why_failing_;
    bool unwritten_told_ = false;
    bool unshared_told_ = false;
    std::string damage_;
    bool lost_rows_told_ = false;
    Clock::time_point next_flush_{};
    Clock::time_point next_heartbeat_{};
    Clock::time_point next_prune_{};
    Clock::time_point next_checkpoint_{};
    std::unique_ptr<Fleet> fleet_;
    std::future<void> fleet_end_;  // of one that is not ours any more
    const bool goes_on_;           // another process may still write what it knows
    bool begun_to_serve_ = false;
    bool handed_over_ = false;  // another process is the proxy now
    const Clock::time_point begun_ = Clock::now();
    Timestamp began_at_ = 0;  // by the wall's clock, or what was newest then
};

}  // namespace proxy
