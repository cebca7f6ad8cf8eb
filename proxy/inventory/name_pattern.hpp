// Application names that never repeat: a process id, a thread, a pod, a random identifier is part
// of them. What they have in common is one client.
#pragma once

#include <string>
#include <string_view>

namespace proxy {

/// The name with every part that is a number or a random identifier as "#": "pgAdmin 4 - CONN:17"
/// and "pgAdmin 4 - CONN:18" both give "pgAdmin # - CONN:#", and "web-7d9f8b6c5d-x2x7z" gives
/// "web-#-#". A name without such parts is its own pattern.
std::string name_pattern(std::string_view name);

}  // namespace proxy
