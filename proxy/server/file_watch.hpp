// Notices that files have changed, by content: certificates are replaced in place, by rename, or
// behind symbolic links (Kubernetes).
#pragma once

#include <map>
#include <string>
#include <vector>

namespace proxy {

class FileWatch {
   public:
    /// Begins with what the files hold now.
    explicit FileWatch(const std::vector<std::string>& files);

    /// To be called about once a second. True once when the content of any file differs from what
    /// was last reported, and has not moved since the call before, so that a certificate and its
    /// key, written one after the other, are seen together.
    bool changed();

   private:
    struct Seen {
        std::string stamp;    // inode, size, modification time: cheap to look at
        std::string content;  // SHA-256
    };

    std::map<std::string, Seen> files_;
    bool pending_ = false;
};

}  // namespace proxy
