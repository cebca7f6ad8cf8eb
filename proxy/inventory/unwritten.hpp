// What an inventory's file does not have, because it cannot be written or used.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace proxy {

struct Unwritten {
    std::chrono::system_clock::time_point since;
    std::uint64_t rows = 0;    ///< that wait in memory, to be written once that is possible
    std::uint64_t events = 0;  ///< that no row was made of, as there is no file
};

/// What a fleet's database does not have, because it cannot be reached or refuses it. The file has
/// it, and sends it later.
struct Unshared {
    std::chrono::system_clock::time_point since;
    std::string where;
    std::string why;
};

/// In a sentence, for people.
std::string to_text(const Unwritten& unwritten);
std::string to_text(const Unshared& unshared);

}  // namespace proxy
