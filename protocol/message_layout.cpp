#include "protocol/message_layout.hpp"

#include "protocol/messages.hpp"

namespace protocol {
namespace {
namespace layouts {

using enum Item;
using M = Meaning;

constexpr Step end{rest};
constexpr Step unknown[]{end};
constexpr Step secret[]{{rest, M::secret_bytes}};
constexpr Step password[]{{rest, M::password}};
constexpr Step sasl_response[]{{rest, M::secret_text}};

// Of the client.
constexpr Step query[]{{text, M::sql}, end};
constexpr Step parse[]{{text, M::statement}, {text, M::sql}, {repeat16, M::none, 1}, {int32}, end};
constexpr Step bind[]{{text, M::portal},
                      {text, M::statement},
                      {repeat16, M::none, 1},
                      {int16, M::parameter_format},
                      {repeat16, M::none, 1},
                      {value, M::data},
                      {repeat16, M::none, 1},
                      {int16, M::result_format},
                      end};
constexpr Step describe_or_close[]{{int8}, {text, M::name}, end};
constexpr Step execute[]{{text, M::portal}, {int32}, end};
constexpr Step function_call[]{{int32},
                               {repeat16, M::none, 1},
                               {int16, M::parameter_format},
                               {repeat16, M::none, 1},
                               {value, M::data},
                               {int16, M::result_format},
                               end};
constexpr Step copy_data[]{{rest, M::rows}};
constexpr Step copy_fail[]{{text, M::data}, end};
constexpr Step sasl_initial_response[]{{text, M::mechanism}, {int32}, {rest, M::secret_text}};

// Of the server.
constexpr Step authentication[]{{int32, M::authentication}, end};
constexpr Step sasl_offer[]{{text, M::mechanism_offer},
                            {text, M::mechanism_offer},
                            {text, M::mechanism_offer},
                            {text, M::mechanism_offer},
                            {text, M::mechanism_offer},
                            {text, M::mechanism_offer},
                            end};
constexpr Step negotiate_version[]{{int32}, {repeat32, M::none, 1}, {text, M::name}, end};
constexpr Step backend_key_data[]{{int32}, {rest, M::secret_bytes}};
constexpr Step parameter_status[]{{text, M::setting_name}, {text, M::setting}, end};
constexpr Step ready[]{{int8}, end};
constexpr Step row_description[]{{repeat16, M::none, 7},
                                 {text, M::name},
                                 {int32},
                                 {int16},
                                 {int32},
                                 {int16},
                                 {int32},
                                 {int16, M::column_format},
                                 end};
constexpr Step parameter_description[]{{repeat16, M::none, 1}, {int32}, end};
constexpr Step data_row[]{{repeat16, M::none, 1}, {value, M::data}, end};
constexpr Step function_response[]{{value, M::data}, end};
constexpr Step command_complete[]{{text, M::command_tag}, end};
constexpr Step error[]{{fields}};
constexpr Step notification[]{{int32}, {text, M::name}, {text, M::data}, end};
constexpr Step copy_response[]{{int8, M::copy_format}, {repeat16, M::none, 1}, {int16, M::copy_column_format}, end};

}  // namespace layouts

std::span<const Step> layout_of_client(char type) noexcept {
    switch (type) {
        case 'Q': return layouts::query;
        case 'P': return layouts::parse;
        case 'B': return layouts::bind;
        case 'D':
        case 'C': return layouts::describe_or_close;
        case 'E': return layouts::execute;
        case 'F': return layouts::function_call;
        case 'd': return layouts::copy_data;
        case 'f': return layouts::copy_fail;
        default: return layouts::unknown;  // also those that have no body: Flush, Sync, CopyDone, Terminate
    }
}

std::span<const Step> layout_of_server(char type) noexcept {
    switch (type) {
        case 'R': return layouts::authentication;
        case 'v': return layouts::negotiate_version;
        case 'K': return layouts::backend_key_data;
        case 'S': return layouts::parameter_status;
        case 'Z': return layouts::ready;
        case 'T': return layouts::row_description;
        case 't': return layouts::parameter_description;
        case 'D': return layouts::data_row;
        case 'V': return layouts::function_response;
        case 'C': return layouts::command_complete;
        case 'E':
        case 'N': return layouts::error;
        case 'A': return layouts::notification;
        case 'G':
        case 'H':
        case 'W': return layouts::copy_response;
        case 'd': return layouts::copy_data;
        default: return layouts::unknown;
    }
}

}  // namespace

std::span<const Step> layout_of(Redactor::Sender sender, char type) noexcept {
    return sender == Redactor::Sender::client ? layout_of_client(type) : layout_of_server(type);
}

std::span<const Step> layout_of_answer(std::uint32_t authentication_code) noexcept {
    switch (static_cast<AuthenticationCode>(authentication_code)) {
        case AuthenticationCode::cleartext_password:
        case AuthenticationCode::md5_password: return layouts::password;
        case AuthenticationCode::sasl_continue: return layouts::sasl_response;
        case AuthenticationCode::sasl: return layouts::sasl_initial_response;
        default: return layouts::secret;
    }
}

std::span<const Step> layout_of_authentication(std::uint32_t code) noexcept {
    return static_cast<AuthenticationCode>(code) == AuthenticationCode::sasl
               ? std::span<const Step>(layouts::sasl_offer)
               : layouts::secret;
}

std::span<const Step> layout_of_secret() noexcept { return layouts::secret; }

}  // namespace protocol
