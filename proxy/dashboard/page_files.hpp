// The page, as files of proxy/dashboard/page/ that the build puts into the program.
#pragma once

#include <span>
#include <string_view>

namespace proxy::dashboard {

struct PageFile {
    std::string_view path;  ///< "/", "/page.css"
    std::string_view content_type;
    std::string_view body;
};

std::span<const PageFile> page_files() noexcept;

}  // namespace proxy::dashboard
