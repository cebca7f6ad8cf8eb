// What completes a program's commands and options in a shell. Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/usage/outline.hpp"

namespace usage {

/// A script for `shell`: "bash", "zsh" or "fish".
std::string completion(std::string_view shell, const Outline& program);

}  // namespace usage
