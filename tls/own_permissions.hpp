// Secret files that the program has made itself and others got access to afterwards, as kubelet
// gives it to the group of a volume (fsGroup) each time it mounts one. PostgreSQL's rule for the
// operator's own files would refuse them, at every start but the first.
#pragma once

#include <string>

namespace tls {

/// Takes the access of group and others away from a regular file of our own. Gives a sentence about
/// it, for a warning; empty: there was nothing to do, or nothing could be done, and then whoever
/// reads the file says so. Links are somebody's arrangement and left alone.
std::string tighten(const std::string& path);

/// Takes from group and others the right to put other files into a folder. Gives a sentence for a
/// warning, also when that is not possible; empty: they have no such right.
std::string tighten_folder(const std::string& path);

}  // namespace tls
