// Whose a state directory is: one process's, or that of the processes of an upgrade, which inherit
// the lock from each other.
#pragma once

#include <string>

#include "tls/owned_descriptor.hpp"

namespace proxy {

class StateLock {
   public:
    StateLock() = default;
    /// Takes it. Without a folder that can be written to there is none, and nothing to share.
    /// Throws std::runtime_error when another process has it.
    explicit StateLock(const std::string& state_dir);
    /// Inherited: taken already.
    explicit StateLock(tls::OwnedDescriptor inherited) noexcept : fd_(std::move(inherited)) {}

    bool is_held() const noexcept { return bool(fd_); }
    /// People are told that it is ours from now on.
    void claim() const noexcept;
    /// To be inherited.
    tls::OwnedDescriptor copy() const;
    /// It is free when nobody else has inherited it.
    void leave() noexcept { fd_.close(); }

   private:
    tls::OwnedDescriptor fd_;
};

}  // namespace proxy
