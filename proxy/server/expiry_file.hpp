// The file that says which ends of certificates were told. One thread's.
#pragma once

#include <string>

namespace proxy {

class ExpiryFile {
   public:
    explicit ExpiryFile(std::string path) : path_(std::move(path)) {}

    /// Empty: there is none, or it cannot be read, which is told in the log.
    std::string read();
    /// In the place of what it held, whole or not at all. False: it cannot be written, which is
    /// told in the log, once.
    bool write(const std::string& text);
    const std::string& path() const noexcept { return path_; }

   private:
    const std::string path_;
    bool is_told_ = false;
};

}  // namespace proxy
