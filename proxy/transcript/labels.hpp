// Words of the output for what is an enumerator here.
#pragma once

#include <string>
#include <string_view>

#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

std::string_view label(protocol::CapturedStatement::Kind kind) noexcept;
std::string_view label(protocol::CapturedStatement::Outcome outcome) noexcept;
std::string_view label(protocol::CapturedSide side) noexcept;
/// session, cancel, tls_records, established; "" when nothing was said.
std::string_view label(protocol::CapturedOpening::Kind kind) noexcept;
/// accepted, refused, not_captured, none.
std::string_view login_label(const ReadSession& session) noexcept;
/// Who or what ended it, in words; empty: it had not ended.
std::string end_words(const ReadSession& session);

}  // namespace proxy::transcript
