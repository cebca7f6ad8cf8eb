#include "proxy/route/mock_salts.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using config::Users;
using proxy::MockSalts;
using support::content;
using Lines = std::vector<std::string>;

Lines texts(const std::vector<config::Diagnostic>& diagnostics) {
    Lines lines;
    for (const auto& diagnostic : diagnostics) lines.push_back(diagnostic.message);
    return lines;
}

struct Loaded {
    MockSalts salts;
    Lines errors;
    Lines warnings;
};

Loaded load(const proxy::StateDir& dir, const Users& users = {}, const std::string& configured = {}) {
    std::vector<config::Diagnostic> errors, warnings;
    config::Auth settings;
    settings.mock_authentication_nonce_file.path = configured;
    MockSalts salts = proxy::load_mock_salts(settings, users, dir, errors, warnings);
    return {std::move(salts), texts(errors), texts(warnings)};
}

/// Of a folder that can be used without a word.
MockSalts salts_in(const support::Folder& folder, const Users& users = {}) {
    Loaded loaded = load({.path = folder.file("")}, users);
    CHECK(loaded.errors == Lines{});
    CHECK(loaded.warnings == Lines{});
    return loaded.salts;
}

protocol::ScramUser with_iterations(unsigned iterations, std::size_t salt_size = 16) {
    protocol::ScramUser user;
    user.secret.emplace();
    user.secret->salt = {.salt = protocol::Buffer(salt_size), .iterations = iterations};
    return user;
}

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
}

Lines warnings_about(const Users& users) {
    std::vector<config::Diagnostic> warnings;
    proxy::warn_about_secrets(users, {}, warnings);
    return texts(warnings);
}

}  // namespace

TEST_CASE("the secret of mock salts is random, made once and readable for its owner alone") {
    const support::Folder folder, other;
    const MockSalts first = salts_in(folder);
    CHECK(mode_of(folder.file("mock_authentication_nonce")) == 0600);
    CHECK(content(folder.file("mock_authentication_nonce")).size() == 32);
    CHECK(salts_in(folder).of("ada") == first.of("ada"));
    CHECK(first.of("ada") != first.of("bob"));
    CHECK(salts_in(other).of("ada") != first.of("ada"));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.file("")), {}) == 1);
}

TEST_CASE("mock salts do not move with the contents of users_file") {
    const support::Folder folder;
    Users users;
    users["ada"].password = {'a'};
    const auto before = salts_in(folder, users).of("nobody");
    users["bob"].password = {'b'};
    CHECK(salts_in(folder, users).of("nobody") == before);
}

TEST_CASE("who is not in users_file looks like most who are") {
    const support::Folder folder;
    CHECK(salts_in(folder).of("nobody").iterations == 4096);
    Users users;
    users["a"] = with_iterations(10'000, 20);
    users["b"] = with_iterations(10'000, 20);
    users["c"] = with_iterations(4096);
    users["d"].password = {'d'};
    CHECK(salts_in(folder, users).of("nobody").iterations == 10'000);
    CHECK(salts_in(folder, users).of("nobody").salt.size() == 20);
}

TEST_CASE("a secret of mock salts that was cut off is made anew, with a warning") {
    const support::Folder folder;
    write(folder.file("mock_authentication_nonce"), "short");
    const Loaded loaded = load({.path = folder.file("")});
    REQUIRE(loaded.warnings.size() == 1);
    CHECK(loaded.warnings[0].ends_with("is damaged: another is made, and the salts of users change once"));
    CHECK(salts_in(folder).of("ada") == loaded.salts.of("ada"));
}

TEST_CASE("a secret of mock salts that others got access to is closed again, with a warning") {
    const support::Folder folder;
    const auto salt = salts_in(folder).of("ada");
    ::chmod(folder.file("mock_authentication_nonce").c_str(), 0664);
    const Loaded loaded = load({.path = folder.file("")});
    CHECK(loaded.salts.of("ada") == salt);
    CHECK(loaded.warnings.size() == 1);
    CHECK(mode_of(folder.file("mock_authentication_nonce")) == 0600);
}

TEST_CASE("where no secret can be kept, one lasts as long as the process, and a warning names the remedy") {
    const Loaded loaded = load({.path = "/nonexistent"});
    REQUIRE(loaded.warnings.size() == 1);
    CHECK(loaded.warnings[0].find("auth.mock_authentication_nonce_file") != std::string::npos);
    CHECK(loaded.errors == Lines{});
    CHECK(load({.path = "/nonexistent"}).salts.of("ada") == loaded.salts.of("ada"));
}

TEST_CASE("a check leaves no secret behind") {
    const support::Folder folder;
    CHECK(load({.path = folder.file(""), .writable = false}).warnings == Lines{});
    CHECK(std::filesystem::is_empty(folder.file("")));
}

TEST_CASE("proxies with the same configured secret give the same salts") {
    const support::Folder folder, a, b;
    write(folder.file("nonce"), std::string(32, 'n'));
    const auto salt = load({.path = a.file("")}, {}, folder.file("nonce")).salts.of("ada");
    CHECK(load({.path = b.file("")}, {}, folder.file("nonce")).salts.of("ada") == salt);
    CHECK(std::filesystem::is_empty(a.file("")));
    write(folder.file("other"), std::string(32, 'o'));
    CHECK(load({.path = a.file("")}, {}, folder.file("other")).salts.of("ada") != salt);
}

TEST_CASE("a configured secret is refused when it is short, open to others or not there") {
    const support::Folder folder;
    write(folder.file("short"), std::string(31, 'n'));
    write(folder.file("open"), std::string(32, 'n'), 0644);
    for (const std::string name : {"short", "open", "missing"}) {
        const Loaded loaded = load({.path = folder.file("")}, {}, folder.file(name));
        REQUIRE(loaded.errors.size() == 1);
        CHECK(loaded.errors[0].starts_with("secret file \"" + folder.file(name) + "\""));
    }
}

TEST_CASE("secrets that cost much, or that tell that a user exists, are warned of") {
    Users users;
    users["a"] = with_iterations(4096);
    users["b"] = with_iterations(4096);
    users["c"].password = {'c'};
    CHECK(warnings_about(users) == Lines{});
    users["d"] = with_iterations(600'000);
    CHECK(warnings_about(users) ==
          Lines{"SCRAM secrets with other than 4096 iterations, which most have: 1. Strangers can tell that those "
                "users exist",
                "SCRAM secrets with more than 20000 iterations: 1, the most has 600000. Every wrong password costs as "
                "much, whoever sends it"});
}
