// What CLI11 says of a wrong command line, in words of ours. Pure.
#pragma once

#include <string>

namespace usage {

/// "--config excludes --listen" -> "--config and --listen cannot be given together"; a value that
/// is none of several comes with the nearest. What is not known is given back as it is.
std::string in_our_words(const std::string& parser_says);

/// Up to its first full stop, without it.
std::string first_sentence(const std::string& text);

}  // namespace usage
