// The inventory, or the lack of one: statistics never stop the start. A file that cannot be used
// is tried again while the proxy serves; a damaged one is moved aside and another begun. What
// nobody has written down meanwhile is said in the next file that can be written, and beside this
// one, so that no report takes what it has for everything.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/inventory/file_id.hpp"
#include "proxy/inventory/inventory.hpp"
#include "proxy/inventory/inventory_use.hpp"

namespace proxy {

/// A file beside an inventory that is not complete, because its proxy had to run without it, or
/// ended before all was written.
std::string gap_marker(const std::string& inventory);
/// Makes that file, if it can.
void leave_gap_marker(const std::string& inventory) noexcept;

/// One thread's, but for its beginning and retain_for().
class InventoryKeeper {
   public:
    using Clock = Inventory::Clock;
    struct Settings {
        std::string path;
        bool ours = true;      ///< the one of the state directory: nobody else's file has that name
        bool goes_on = false;  ///< we take the place of a process that still uses it (an upgrade)
        std::function<std::unique_ptr<Inventory>()> open;  ///< throws std::runtime_error
        /// Told whenever there is one from now on, or none: nullptr.
        std::function<void(Inventory*)> use = [](Inventory*) {};
    };

    explicit InventoryKeeper(Settings settings);
    ~InventoryKeeper();

    const std::string& path() const noexcept { return settings_.path; }
    /// See Inventory.
    void retain_for(std::chrono::milliseconds retention) { retention_ = retention; }
    void absorb(const Event& event);
    void absorb(const ServerLook& look) {
        if (inventory_) inventory_->absorb(look);
    }
    void lost(std::uint64_t events);
    Clock::time_point due() const noexcept;
    std::vector<Event> flush();
    /// What the file does not have, for longer than writing takes.
    std::optional<Unwritten> unwritten() const;
    /// The certificates of servers that a file knew when it was opened, the oldest first; each
    /// once.
    std::vector<ShownCertificate> take_known_certificates() { return std::exchange(known_certificates_, {}); }
    std::optional<Unshared> unshared() const { return inventory_ ? inventory_->unshared() : std::nullopt; }

   private:
    void try_to_open();
    void open();
    void begin_anew(const std::string& why);
    void unavailable(const std::string& why);
    void tell(const std::string& what);
    void tell_of_others() const;
    void notice_removal();

    const Settings settings_;
    InventoryUse use_;
    std::unique_ptr<Inventory> inventory_;  // nullptr: there is none for now
    std::uint64_t left_out_ = 0;            // events, while there was none
    bool told_ = false;
    std::chrono::system_clock::time_point unavailable_since_{};
    bool has_gap_ = false;
    FileId file_{};                                                                    // of what is open
    std::atomic<std::chrono::milliseconds> retention_{std::chrono::milliseconds(-1)};  // negative: as it was opened
    std::chrono::milliseconds obeyed_{-1};
    Clock::time_point next_attempt_{};
    std::vector<Event> news_;
    std::vector<ShownCertificate> known_certificates_;
};

}  // namespace proxy
