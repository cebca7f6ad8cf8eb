// Notices that files have changed, by content: certificates are replaced in place, by rename, or
// behind symbolic links (Kubernetes).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/file.hpp"

namespace proxy {

class FileWatch {
   public:
    /// Begins with what was `read` of them: what changed while they were loaded is a change. With
    /// those of which nothing was read, at the first look.
    FileWatch(const std::vector<std::string>& files, const config::FileStates& read);

    /// To be called about once a second. True once when the content of any file differs from what
    /// was last reported, and has not moved since the call before, so that a certificate and its
    /// key, written one after the other, are seen together.
    bool changed();

   private:
    std::map<std::string, std::optional<config::FileState>> files_;  // as last seen
    bool pending_ = false;
};

}  // namespace proxy
