#include "config/value.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "config/load.hpp"
#include "config/parse.hpp"
#include "config/secret.hpp"
#include "config/spelling.hpp"
#include "config/web_url.hpp"
#include "protocol/server_name.hpp"

namespace config {
namespace {

const std::string* read_text(const Node& node, std::string_view expected, Reading& reading);
std::vector<const Node*> read_list(const Node& node, std::string_view expected, Reading& reading);
std::string absolute(const std::string& path, const Reading& reading);
std::optional<std::string> why_not_timer(Duration duration, Rule rule);
File read_file(const Node& node, Reading& reading);
std::optional<Address> read_listen_address(const Node& node, Rule rule, Reading& reading);
std::optional<Address> read_host_address(const Node& node, Reading& reading);
std::string_view in_words(const Node& node);
bool is_console_socket(std::string_view text);
bool is_port_alone(const Node& node, std::string_view address, Reading& reading);
bool is_list_in_one_string(const Node& node, Reading& reading);
bool are_addresses_in_one_string(const Node& node, Reading& reading);

std::string a_label_hint(std::string_view name);

constexpr unsigned max_count = 1'000'000;  // more threads or connections than any machine has: a slip of the finger
constexpr unsigned max_threads = 1024;
constexpr unsigned max_prewarm = 1000;       // each is a process of the server
constexpr std::int64_t max_id = 0xffffffff;  // (uid_t)-1, which means nobody in particular

}  // namespace

void read_value(const Node& node, Rule rule, std::string& into, Reading& reading) {
    if (rule == Rule::http_address && is_port_alone(node, "127.0.0.1:", reading)) return;
    if (rule == Rule::console_socket && is_port_alone(node, "unix:console/.s.PGSQL.", reading)) return;
    const std::string* const text = read_text(node, type_in_words<std::string>(), reading);
    if (text == nullptr) return;
    if (rule == Rule::host_name && !text->empty() && !is_dns_name(*text) && !is_ip_address(*text)) {
        return reading.error(node.origin,
                             in_quotes(*text) + " is neither a DNS name nor an IP address" + a_label_hint(*text));
    }
    if (rule == Rule::sni && !text->empty() && *text != sni_off && !is_dns_name(*text)) {
        return reading.error(node.origin, in_quotes(*text) + R"( is not a DNS name, nor "off")" + a_label_hint(*text));
    }
    if (rule == Rule::console_socket && !text->empty() && !is_console_socket(*text)) {
        return reading.error(node.origin, in_quotes(*text) + R"( is not "unix:" and a path that ends with )"
                                                             R"(/.s.PGSQL.PORT, which is how libpq finds it)");
    }
    if (rule == Rule::web_url && !text->empty()) {
        if (const auto url = parse_web_url(*text); !url.url) return reading.error(node.origin, url.error);
    }
    if (rule == Rule::plain_name && !text->empty() && !is_plain_name(*text)) {
        return reading.error(node.origin, in_quotes(*text) +
                                              " is not a name of at most 63 letters, digits, '-', '_' "
                                              "and '.', the first of them a letter or a digit");
    }
    if ((rule == Rule::path || node.name == "name") && may_hold_secret(*text)) {
        return reading.error(node.origin, in_quotes(*text) + (rule == Rule::path ? " is no path of a file or a folder"
                                                                                 : " is no name for a log to show"));
    }
    if (rule == Rule::http_address && !text->empty() && !read_listen_address(node, rule, reading)) return;
    into = rule == Rule::path && !text->empty() ? absolute(*text, reading) : *text;
}

void read_value(const Node& node, Rule, bool& into, Reading& reading) {
    const bool has_quotes = node.kind == Node::Kind::string && (node.text == "true" || node.text == "false");
    if (has_quotes) return reading.error(node.origin, "a boolean has no quotes: write " + node.text);
    if (node.kind != Node::Kind::boolean) return wrong_type(node, "a boolean (true or false)", reading);
    into = node.boolean;
}

void read_value(const Node& node, Rule rule, unsigned& into, Reading& reading) {
    const bool has_quotes = node.kind == Node::Kind::string && !node.text.empty() && node.text.size() < 10 &&
                            node.text.find_first_not_of("0123456789") == std::string::npos;
    if (has_quotes) return reading.error(node.origin, "a number has no quotes: write " + node.text);
    if (node.kind != Node::Kind::integer) return wrong_type(node, type_in_words<unsigned>(), reading);
    const std::int64_t min = rule == Rule::positive ? 1 : 0;
    const unsigned max = rule == Rule::threads ? max_threads : rule == Rule::prewarm ? max_prewarm : max_count;
    if (node.integer < min || node.integer > max) {
        return reading.error(node.origin, std::to_string(node.integer) + " is not between " + std::to_string(min) +
                                              " and " + std::to_string(max));
    }
    into = static_cast<unsigned>(node.integer);
}

void read_value(const Node& node, Rule rule, Duration& into, Reading& reading) {
    const std::string* const text = read_text(node, R"(a duration ("250ms", "5s", "2m", "1h", "30d"))", reading);
    if (text == nullptr) return;
    const auto duration = parse_duration(*text);
    if (!duration) {
        const auto* form =
            " is not a duration: a whole number and ms, s, m, h or d, such as \"30s\", and at most ten years";
        return reading.error(node.origin, in_quotes(*text) + form);
    }
    if (const auto why = why_not_timer(*duration, rule)) return reading.error(node.origin, in_quotes(*text) + *why);
    into = *duration;
}

void read_value(const Node& node, Rule rule, std::uint64_t& into, Reading& reading) {
    const std::string* const text = read_text(node, R"(a size ("512B", "64KiB", "256MiB", "1GiB"))", reading);
    if (text == nullptr) return;
    const auto size = parse_size(*text);
    if (!size) {
        const auto* form = " is not a size: a whole number and B, KiB, MiB, GiB or TiB, such as \"256MiB\"";
        return reading.error(node.origin, in_quotes(*text) + form);
    }
    if (rule == Rule::positive && *size == 0)
        return reading.error(node.origin, in_quotes(*text) + " must be more than zero");
    into = *size;
}

void read_value(const Node& node, Rule, File& into, Reading& reading) {
    const std::string* const text = read_text(node, type_in_words<File>(), reading);
    if (text == nullptr || text->empty()) return;
    into = read_file(node, reading);
}

void read_value(const Node& node, Rule rule, std::vector<std::string>& into, Reading& reading) {
    std::vector<std::string> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<std::string>>(), reading)) {
        const std::string_view text = item->text;
        const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
        if (rule == Rule::server_name && is_list_in_one_string(*item, reading)) continue;
        if (rule == Rule::server_name && !is_dns_name(name)) {
            reading.error(item->origin, in_quotes(text) +
                                            R"( is not a DNS name, such as "db.example.com" or "*.example.com")" +
                                            a_label_hint(text));
        }
        list.emplace_back(text);
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, std::vector<File>& into, Reading& reading) {
    std::vector<File> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<File>>(), reading)) {
        const bool is_system = item->text == "system";
        if (why_unreadable(absolute(item->text, reading)) && is_list_in_one_string(*item, reading)) continue;
        list.push_back(is_system ? File{item->text, item->origin} : read_file(*item, reading));
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule rule, std::vector<Address>& into, Reading& reading) {
    const bool is_listen = rule == Rule::listen_address;
    if (node.kind == Node::Kind::array ? node.children.empty() : node.kind == Node::Kind::string && node.text.empty()) {
        return reading.error(node.origin, std::string{"expected at least one address, such as "} +
                                              (is_listen ? R"("127.0.0.1:6432")" : R"("db.example.com:5432")"));
    }
    if (is_port_alone(node, is_listen ? "127.0.0.1:" : "db.example.com:", reading)) return;
    std::vector<Address> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<Address>>(), reading)) {
        if (!item->text.starts_with("unix:") && are_addresses_in_one_string(*item, reading)) continue;
        auto address = is_listen ? read_listen_address(*item, rule, reading) : read_host_address(*item, reading);
        if (!address) continue;
        address->origin = item->origin;
        list.push_back(std::move(*address));
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, std::vector<Cidr>& into, Reading& reading) {
    std::vector<Cidr> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<Cidr>>(), reading)) {
        if (is_list_in_one_string(*item, reading)) continue;
        if (const auto cidr = parse_cidr(item->text)) {
            list.push_back(*cidr);
        } else {
            reading.error(item->origin,
                          in_quotes(item->text) + R"( is not an address range, such as "10.0.0.0/8" or "::1/128")");
        }
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, double& into, Reading& reading) {
    if (node.kind != Node::Kind::number && node.kind != Node::Kind::integer)
        return wrong_type(node, type_in_words<double>(), reading);
    const double value = node.kind == Node::Kind::number ? node.number : static_cast<double>(node.integer);
    if (!(value >= 0 && value <= 1))
        return reading.error(node.origin, "a share is between 0 and 1, such as 0.05 for one in twenty");
    into = value;
}

void read_value(const Node& node, Rule, std::vector<ProbeKind>& into, Reading& reading) {
    std::vector<ProbeKind> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<ProbeKind>>(), reading)) {
        if (is_list_in_one_string(*item, reading)) continue;
        if (const auto choice = read_choice(*item, Rule::none, names<ProbeKind>(), reading))
            list.push_back(static_cast<ProbeKind>(*choice));
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, std::vector<AlertKind>& into, Reading& reading) {
    std::vector<AlertKind> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<AlertKind>>(), reading)) {
        if (is_list_in_one_string(*item, reading)) continue;
        if (const auto choice = read_choice(*item, Rule::none, names<AlertKind>(), reading))
            list.push_back(static_cast<AlertKind>(*choice));
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, std::vector<TimeWindow>& into, Reading& reading) {
    std::vector<TimeWindow> list;
    for (const Node* const item : read_list(node, type_in_words<std::vector<TimeWindow>>(), reading)) {
        if (is_list_in_one_string(*item, reading)) continue;
        if (const auto window = parse_time_window(item->text)) {
            list.push_back(*window);
        } else {
            reading.error(
                item->origin,
                in_quotes(item->text) +
                    R"( is not a window: START/END in RFC 3339, the later last, such as "2026-03-01T02:00Z/2026-03-01T04:00Z")");
        }
    }
    into = std::move(list);
}

void read_value(const Node& node, Rule, std::vector<unsigned>& into, Reading& reading) {
    const bool is_list = node.kind == Node::Kind::array;
    const std::span<const Node> items =
        is_list ? std::span<const Node>(node.children) : std::span<const Node>(&node, 1);
    std::vector<unsigned> list;
    for (const Node& item : items) {
        if (item.kind != Node::Kind::integer) {
            wrong_type(item, is_list ? "an integer" : type_in_words<std::vector<unsigned>>(), reading);
        } else if (item.integer < 0 || item.integer >= max_id) {
            reading.error(item.origin, std::to_string(item.integer) + " is the number of no user");
        } else {
            list.push_back(static_cast<unsigned>(item.integer));
        }
    }
    into = std::move(list);
}

std::optional<std::size_t> read_choice(const Node& node, Rule rule, std::span<const std::string_view> choices,
                                       Reading& reading) {
    const std::size_t first = rule == Rule::not_empty ? 1 : 0;
    const auto allowed = choices.subspan(first);
    const std::string* const text = read_text(node, "one of " + join(allowed), reading);
    if (text == nullptr) return std::nullopt;
    const auto found = std::find(allowed.begin(), allowed.end(), *text);
    if (found != allowed.end()) return first + static_cast<std::size_t>(found - allowed.begin());
    reading.error(node.origin, not_one_of(*text, allowed));
    return std::nullopt;
}

void wrong_type(const Node& node, std::string_view expected, Reading& reading) {
    reading.error(node.origin, "expected " + std::string{expected} + ", got " + std::string{in_words(node)});
}

std::optional<std::string> why_unreadable(const std::string& path) {
    // Opened rather than asked about: access() does not know capabilities, ACLs and mandatory
    // access control as open() does.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) return std::strerror(errno);
    struct stat status {};
    const bool is_folder = ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
    ::close(descriptor);
    if (is_folder) return std::strerror(EISDIR);
    return std::nullopt;
}

namespace {

/// nullptr: not a string, or one with a control character, which no value needs and no log should
/// see.
const std::string* read_text(const Node& node, std::string_view expected, Reading& reading) {
    if (node.kind != Node::Kind::string) {
        wrong_type(node, expected, reading);
        return nullptr;
    }
    if (has_control_characters(node.text)) {
        reading.error(node.origin, "control characters are not allowed here");
        return nullptr;
    }
    return &node.text;
}

/// The strings of an array, or a string alone. "" alone is the empty list.
std::vector<const Node*> read_list(const Node& node, std::string_view expected, Reading& reading) {
    std::vector<const Node*> items;
    if (node.kind != Node::Kind::array) {
        const std::string* const text = read_text(node, expected, reading);
        if (text != nullptr && !text->empty()) items.push_back(&node);
        return items;
    }
    for (const Node& child : node.children) {
        const std::string* const text = read_text(child, "a string", reading);
        if (text != nullptr && text->empty()) reading.error(child.origin, "an empty string has no place in a list");
        if (text != nullptr && !text->empty()) items.push_back(&child);
    }
    return items;
}

/// A number in the place of an address, alone or in a list, which an error tells: `address` is what
/// could stand in front of it.
bool is_port_alone(const Node& node, std::string_view address, Reading& reading) {
    constexpr std::int64_t max_port = 65535;
    if (node.kind == Node::Kind::integer && node.integer > 0 && node.integer <= max_port) {
        reading.error(node.origin, "expected an address in quotes, got an integer: write " +
                                       in_quotes(std::string(address) + std::to_string(node.integer)));
        return true;
    }
    bool found = false;
    if (node.kind != Node::Kind::array) return found;
    for (const Node& child : node.children) found = is_port_alone(child, address, reading) || found;
    return found;
}

/// Whether `text` could stand behind a colon.
bool is_port(std::string_view text) { return parse_address("localhost:" + std::string{text}).has_value(); }

/// "db.example.com:5432", "[::1]:5432".
std::string with_port(std::string_view host, std::string_view port) {
    const bool needs_brackets = host.find(':') != std::string_view::npos;
    return (needs_brackets ? "[" + std::string{host} + "]" : std::string{host}) + ":" + std::string{port};
}

std::vector<std::string> words_of(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view word = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        word.remove_prefix(std::min(word.find_first_not_of(blanks), word.size()));
        word = word.substr(0, word.find_last_not_of(blanks) + 1);
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

/// "a, b", where each has its own quotes and none has a comma; an error tells.
bool is_list_in_one_string(const Node& node, Reading& reading) {
    if (node.text.find(',') == std::string::npos) return false;
    std::string list;
    for (const std::string& word : words_of(node.text)) list += (list.empty() ? "" : ", ") + in_quotes(word);
    reading.error(node.origin, in_quotes(node.text) + " is one string: write [" + list + "]");
    return true;
}

/// The same of addresses, where a comma in front of a number is a colon that was meant:
/// "db.example.com,5432".
bool are_addresses_in_one_string(const Node& node, Reading& reading) {
    std::vector<std::string> addresses;
    bool joined = false;
    for (const std::string& word : words_of(node.text)) {
        const bool is_behind_host =
            !addresses.empty() && !is_port(addresses.back()) && !parse_address(addresses.back());
        if (is_port(word) && is_behind_host) {
            addresses.back() = with_port(addresses.back(), word);
            joined = true;
        } else {
            addresses.push_back(word);
        }
    }
    if (!joined) return is_list_in_one_string(node, reading);
    std::string list;
    for (const std::string& address : addresses) list += (list.empty() ? "" : ", ") + in_quotes(address);
    reading.error(node.origin, in_quotes(node.text) + ": a port stands behind a colon: write " +
                                   (addresses.size() == 1 ? list : "[" + list + "]"));
    return true;
}

/// An IPv6 address without brackets of which the last part may be a port: nobody can tell. Empty:
/// it is none.
std::string why_not_without_brackets(const std::string& text, bool may_lack_port) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return {};
    const std::string host = text.substr(0, colon), port = text.substr(colon + 1);
    if (host.find(':') == std::string::npos || !is_ip_address(host) || !is_port(port)) return {};
    const std::string meant = " needs brackets: write " + in_quotes(with_port(host, port));
    return may_lack_port && is_ip_address(text)
               ? meant + ", or " + in_quotes("[" + text + "]:5432") + " if all of it is the address"
               : meant;
}

std::string absolute(const std::string& path, const Reading& reading) {
    return (reading.folder / path).lexically_normal().string();
}

/// nullopt: the duration will do.
std::optional<std::string> why_not_timer(Duration duration, Rule rule) {
    if (rule == Rule::positive && duration == Duration::zero()) return " must be more than zero";
    // TCP_KEEPIDLE counts seconds, up to MAX_TCP_KEEPIDLE (include/net/tcp.h).
    constexpr std::chrono::seconds max{32767};
    const bool is_taken_by_kernel = duration % std::chrono::seconds{1} == Duration::zero() && duration <= max;
    if (rule != Rule::tcp_timer || is_taken_by_kernel) return std::nullopt;
    return " is not a number of whole seconds up to 32767, which is what TCP takes";
}

/// Names in other letters are not converted: what is written here should be what DNS, certificates
/// and logs have.
std::string a_label_hint(std::string_view name) {
    if (may_hold_secret(name)) return {};
    const bool has_star = name.starts_with("*.");
    const auto in_dns = protocol::in_a_labels(has_star ? name.substr(2) : name);
    return in_dns ? "; write \"" + std::string(has_star ? "*." : "") + *in_dns + "\"" : "";
}

/// Of what names no file that is there: a token or a URL in the place of the file that holds it.
bool may_be_the_secret(const Node& node, const File& file) {
    const std::string& text = node.text;
    if (may_hold_secret(text)) return true;
    std::error_code none;
    if (!names_secret_file(node.name) || std::filesystem::exists(std::filesystem::symlink_status(file.path, none)))
        return false;
    // No base64 ends with ".txt" or ".pem".
    const bool leads_nowhere = text.starts_with('/') && !is_like_path(text.substr(text.rfind('/') + 1)) &&
                               !std::filesystem::exists(text.substr(0, text.find('/', 1)), none);
    return !is_like_path(text) || leads_nowhere;
}

/// The file is in the result even when it cannot be read, so that no later rule takes it for not
/// given.
File read_file(const Node& node, Reading& reading) {
    File file{absolute(node.text, reading), node.origin};
    const auto why = why_unreadable(file.path);
    if (!why) return file;
    if (may_be_the_secret(node, file)) {
        const bool is_url = node.text.find("://") != std::string::npos;
        reading.error_that_may_pass(node.origin, "expected the path of a file that can be read, got " +
                                                     (is_url ? in_quotes(node.text) : hidden(node.text)) +
                                                     (is_url ? "" : ", not shown as it may be a secret") + ": " + *why);
        return file;
    }
    reading.error_that_may_pass(node.origin, "cannot read " + in_quotes(file.path) + ": " + *why);
    return file;
}

/// Empty: it may be one.
std::string why_no_socket(const Address& address) {
    std::error_code none;
    if (address.kind != Address::Kind::unix_socket || !std::filesystem::is_directory(address.host, none)) return {};
    const std::string socket = "unix:" + (std::filesystem::path(address.host) / ".s.PGSQL.5432").string();
    return " is a folder: write the socket in it, such as " + in_quotes(socket);
}

std::optional<Address> read_listen_address(const Node& node, Rule rule, Reading& reading) {
    constexpr std::string_view on_every_address = "*:";
    auto address = parse_address(node.text);
    if (rule == Rule::listen_address && node.text.starts_with(on_every_address)) {
        address = parse_address("localhost:" + node.text.substr(on_every_address.size()));
        if (address) address->host = "*";
    }
    if (const std::string why = why_not_without_brackets(node.text, false); !address && !why.empty()) {
        reading.error(node.origin, in_quotes(node.text) + why);
        return std::nullopt;
    }
    const bool may_be_name = rule == Rule::listen_address;  // looked up when it is listened on
    if (!address || (address->kind == Address::Kind::tcp && !may_be_name && !is_ip_address(address->host))) {
        reading.error(node.origin, in_quotes(node.text) +
                                       R"( is not an address to listen on: an IP address and a port, such as )"
                                       R"("127.0.0.1:6432" or "[::1]:6432", or "unix:/path" of at most 107 bytes)");
        return std::nullopt;
    }
    if (const std::string why = why_no_socket(*address); !why.empty()) {
        reading.error(node.origin, in_quotes(node.text) + why);
        return std::nullopt;
    }
    return address;
}

std::optional<Address> read_host_address(const Node& node, Reading& reading) {
    const std::string& text = node.text;
    const bool has_brackets = text.starts_with('[') && text.ends_with(']');
    const bool lacks_port = text.find(':') == std::string::npos || has_brackets;
    std::error_code none;
    if (text.starts_with('/') && std::filesystem::is_directory(text, none)) {
        const std::string socket = "unix:" + (std::filesystem::path(text) / ".s.PGSQL.5432").string();
        reading.error(node.origin,
                      in_quotes(text) + " is a folder: write the socket in it, such as " + in_quotes(socket));
        return std::nullopt;
    }
    if (const std::string why = why_not_without_brackets(text, true); !why.empty()) {
        reading.error(node.origin, in_quotes(text) + why);
        return std::nullopt;
    }
    auto address = parse_address(lacks_port ? text + ":5432" : is_ip_address(text) ? "[" + text + "]:5432" : text);
    if (!address) {
        reading.error(node.origin,
                      in_quotes(text) +
                          R"( is not a host: HOST:PORT, such as "db.example.com:5432" or "[::1]:5432", or )"
                          R"("unix:/path" of at most 107 bytes)" +
                          a_label_hint(text.substr(0, text.rfind(':'))));
        return std::nullopt;
    }
    if (const std::string why = why_no_socket(*address); !why.empty()) {
        reading.error(node.origin, in_quotes(text) + why);
        return std::nullopt;
    }
    if (address->kind == Address::Kind::tcp && address->port == 0) {
        reading.error(node.origin, in_quotes(text) + ": no server listens on port 0");
        return std::nullopt;
    }
    return address;
}

bool is_console_socket(std::string_view text) {
    constexpr std::string_view name = ".s.PGSQL.";
    const std::size_t slash = text.rfind('/');
    if (!text.starts_with("unix:") || slash == std::string_view::npos) return false;
    const std::string_view last = text.substr(slash + 1);
    if (!last.starts_with(name)) return false;
    const auto port = parse_address("localhost:" + std::string{last.substr(name.size())});
    return port && port->port > 0;
}

std::string_view in_words(const Node& node) {
    switch (node.kind) {
        case Node::Kind::boolean: return "a boolean";
        case Node::Kind::integer: return "an integer";
        case Node::Kind::number: return "a floating-point number";
        case Node::Kind::string: return "a string";
        case Node::Kind::array: return "a list";
        case Node::Kind::table: return "a table";
        case Node::Kind::other: break;
    }
    return node.text;
}

}  // namespace
}  // namespace config
