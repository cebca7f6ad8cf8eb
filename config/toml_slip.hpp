// What TOML's parser found wrong with a file, in words that say how it is written instead. Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"

namespace config {

struct TomlSlip {
    Diagnostic diagnostic;
    /// The rest of the file can be judged without this line: nothing that spans lines is open in
    /// it, and it is no table's header.
    bool is_of_one_line = false;
};

/// `line` and `column` count from 1; `description` is the parser's. What could be a secret, which a
/// key that is not known may hold too, is not in the message.
TomlSlip explain_slip(std::string_view text, const std::string& file, int line, int column,
                      std::string_view description);

}  // namespace config
