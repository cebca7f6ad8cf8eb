// A descriptor that is closed once, whoever has it in the end.
#pragma once

#include <unistd.h>

#include <utility>

namespace tls {

class OwnedDescriptor {
   public:
    OwnedDescriptor() = default;
    /// `fd`: ours from now on; below zero: none.
    explicit OwnedDescriptor(int fd) noexcept : fd_(fd) {}
    OwnedDescriptor(OwnedDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~OwnedDescriptor() { close(); }

    explicit operator bool() const noexcept { return fd_ >= 0; }
    int get() const noexcept { return fd_; }
    void close() noexcept {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

   private:
    int fd_ = -1;
};

}  // namespace tls
