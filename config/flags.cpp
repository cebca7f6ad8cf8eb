// The command line's short form of a file: the same tree, so that every rule and default is the
// same.
#include "config/load.hpp"
#include "config/read.hpp"

namespace config {
namespace {

Node table_for(std::string name, std::string_view flag);
void add_text(Node& table, std::string key, const std::string& text, std::string_view flag);
Origin origin_of(std::string_view flag);

}  // namespace

Loaded from_flags(const Flags& flags) {
    Node listener = table_for("", "--listen");
    add_text(listener, "name", "default", "--listen");
    if (!flags.listen.empty()) add_text(listener, "listen", flags.listen, "--listen");
    Node listeners = table_for("listener", "--listen");
    listeners.kind = Node::Kind::array;
    listeners.children.push_back(std::move(listener));

    Node upstream = table_for("default", "--upstream");
    add_text(upstream, "hosts", flags.upstream, "--upstream");
    if (!flags.sslmode.empty()) add_text(upstream, "sslmode", flags.sslmode, "--sslmode");
    Node sslrootcert = table_for("sslrootcert", "--sslrootcert");
    sslrootcert.kind = Node::Kind::array;
    for (const std::string& file : flags.sslrootcert) {
        add_text(sslrootcert, "", file, "--sslrootcert");
        const auto count = static_cast<int>(sslrootcert.children.size());
        if (count > 1) sslrootcert.children.back().origin.column = count;  // so that one is told from the other
    }
    upstream.children.push_back(std::move(sslrootcert));
    Node upstreams = table_for("upstream", "--upstream");
    upstreams.children.push_back(std::move(upstream));

    Node runtime = table_for("runtime", "--state-dir");
    add_text(runtime, "state_dir", flags.state_dir, "--state-dir");

    Node root = table_for("", "");
    root.children = {std::move(listeners), std::move(upstreams), std::move(runtime)};
    std::error_code no_current_folder;
    return read(root, {.folder = std::filesystem::current_path(no_current_folder)});
}

namespace {

Node table_for(std::string name, std::string_view flag) {
    Node table{.kind = Node::Kind::table, .origin = origin_of(flag), .key_origin = origin_of(flag)};
    table.name = std::move(name);
    return table;
}

void add_text(Node& table, std::string key, const std::string& text, std::string_view flag) {
    Node value = table_for(std::move(key), flag);
    value.kind = Node::Kind::string;
    value.text = text;
    table.children.push_back(std::move(value));
}

Origin origin_of(std::string_view flag) {
    return {.file = "command line", .line = 0, .column = 0, .key = std::string{flag}};
}

}  // namespace
}  // namespace config
