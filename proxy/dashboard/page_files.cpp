#include "proxy/dashboard/page_files.hpp"

// `embedded_pages`, written by embed.cmake.
#include "page_files.inc"

namespace proxy::dashboard {

std::span<const PageFile> page_files() noexcept { return embedded_pages; }

}  // namespace proxy::dashboard
