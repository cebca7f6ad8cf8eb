// One audit file for the processes of an upgrade, which overlap: each batch of lines is written by
// one of them alone, and behind the other's. What the next one has to know stands in a small file
// beside it, whose lock says whose turn it is (fcntl(2), which ends with its process).
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "tls/owned_descriptor.hpp"

namespace proxy {

class AuditShare {
   public:
    /// A value of the chain, or empty: kept without memory that there may be none of.
    class ChainValue {
       public:
        static constexpr std::size_t max_size = 64;

        ChainValue() = default;
        ChainValue(std::string_view value) noexcept : size_(std::min(value.size(), max_size)) {
            std::copy_n(value.begin(), size_, text_.begin());
        }
        operator std::string_view() const noexcept { return {text_.data(), size_}; }
        bool empty() const noexcept { return size_ == 0; }
        bool operator==(const ChainValue&) const = default;

       private:
        std::array<char, max_size> text_{};
        std::size_t size_ = 0;
    };

    /// Where the audit stands, when a process has written its batch.
    struct Place {
        dev_t device = 0;  ///< of its file
        ino_t inode = 0;   ///< likewise; 0: it is no file
        off_t end = 0;     ///< how long that is
        ChainValue chain;  ///< the value that the next line follows; empty: the file is not chained

        bool operator==(const Place&) const = default;
    };

    /// `path`: of the file beside; empty: the audit is nobody else's. So it is where that file
    /// cannot be made.
    explicit AuditShare(const std::string& path);

    /// Beside an audit file: its name begins with a dot, so that no pattern for audit files takes
    /// it for one.
    static std::string path_beside(const std::string& audit);

    bool is_open() const noexcept { return bool(fd_); }
    /// It is our turn until done(): waits as long as a write may. nullopt: nobody has written yet,
    /// or was killed as it did.
    std::optional<Place> begin() noexcept;
    void done(const Place& place) noexcept;
    /// It is over, and nothing has been written in it.
    void give_up() noexcept;

   private:
    tls::OwnedDescriptor fd_;
};

}  // namespace proxy
