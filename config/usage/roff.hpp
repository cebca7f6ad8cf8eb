// Text as groff's man macros take it, for manual pages. Pure.
#pragma once

#include <string>
#include <string_view>

namespace usage {

/// One line, or part of one: nothing in it is an order to groff, and a hyphen is the one of the
/// keyboard.
std::string roff(std::string_view text);

/// The head of a page: `.TH "PGAIRLOCK" "1" "" "pgairlock 0.1.0" ...`.
std::string roff_title(std::string_view name, unsigned section, std::string_view version);

/// Paragraphs of plain text: lines that begin with two blanks stay as they are, an empty line ends
/// a paragraph.
std::string roff_text(std::string_view text);

/// A sentence or a page of the Markdown that docs/config.md is written in: paragraphs, lists with
/// "- ", code between backquotes or fences, **bold**, and links, whose web address is kept.
/// Headings and comments are left out: a manual page has its own.
std::string roff_of_markdown(std::string_view text);

}  // namespace usage
