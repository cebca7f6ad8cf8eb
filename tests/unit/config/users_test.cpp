#include "config/users.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/file.hpp"
#include "protocol/base64.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using config::FileKind;
using config::Users;
using protocol::as_text;
using Lines = std::vector<std::string>;

const config::File users_file{.path = "/etc/pgairlock/users.txt",
                              .origin = {.file = "t.toml", .line = 7, .column = 14, .key = "auth.users_file"}};

/// pg_authid.rolpassword of a user of PostgreSQL 15.
const std::string secret =
    "SCRAM-SHA-256$4096:3KcR3aCNreL2yB+pEjuzZw==$bwK7vuk3h2dchyAvgUXbcbzoTfnBQUnAPe5UOTxpV9w=:"
    "YeohOPfu0F87ZZuob64ZghOyjOh2GHg1wGzUlhN5boE=";
const std::string md5 = "md5b2bd6ec8bbb44e1c33a44cb7c5b6d5ab";

struct Parsed {
    Users users;
    Lines errors;
    Lines warnings;
};

Lines texts(const std::vector<config::Diagnostic>& diagnostics) {
    Lines lines;
    for (const auto& diagnostic : diagnostics) lines.push_back(to_string(diagnostic));
    return lines;
}

Parsed parse(const std::string& text) {
    std::vector<config::Diagnostic> errors, warnings;
    Users users = config::parse_users(text, users_file, errors, warnings);
    return {std::move(users), texts(errors), texts(warnings)};
}

/// Of a file without a flaw.
Users good(const std::string& text) {
    CAPTURE(text);
    Parsed parsed = parse(text);
    CHECK(parsed.errors == Lines{});
    CHECK(parsed.warnings == Lines{});
    return std::move(parsed.users);
}

std::string password_of(const Users& users, const std::string& name) {
    const auto found = users.find(name);
    REQUIRE(found != users.end());
    CHECK_FALSE(found->second.secret);
    return std::string(as_text(found->second.password));
}

/// A file that is gone after the test.
class TemporaryFile {
   public:
    explicit TemporaryFile(const std::string& text, mode_t mode = 0600) {
        std::string name = (std::filesystem::temp_directory_path() / "pgairlock-users-XXXXXX").string();
        const int fd = ::mkstemp(name.data());
        REQUIRE(fd >= 0);
        ::close(fd);
        file.path = name;
        std::ofstream(name, std::ios::binary) << text;
        REQUIRE(::chmod(name.c_str(), mode) == 0);
    }
    ~TemporaryFile() { std::filesystem::remove(file.path); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    config::File file{.path = {}, .origin = users_file.origin};
};

/// Why a file is not read; empty when it is.
std::string refusal(const config::File& file, FileKind kind = FileKind::users) {
    std::vector<config::Diagnostic> errors;
    const bool read = config::read_file(file, kind, errors).has_value();
    CHECK(read == errors.empty());
    if (read) return {};
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].origin.key == "auth.users_file");
    CHECK(errors[0].origin.line == 7);
    return errors[0].message;
}

}  // namespace

TEST_CASE("users: a line has a user and a password, each in double quotes") {
    const Users users = good("\"ada\" \"correct horse\"\n\"bob\"\t\"x\"\n");
    CHECK(users.size() == 2);
    CHECK(password_of(users, "ada") == "correct horse");
    CHECK(password_of(users, "bob") == "x");
}

TEST_CASE("users: the last line needs no end") { CHECK(password_of(good("\"ada\" \"x\""), "ada") == "x"); }

TEST_CASE("users: a quote within is written twice") {
    const Users users = good(R"("a""da" "say ""yes""")"
                             "\n"
                             R"("""" """""")");
    CHECK(users.size() == 2);
    CHECK(password_of(users, "a\"da") == "say \"yes\"");
    CHECK(password_of(users, "\"") == "\"\"");
}

TEST_CASE("users: a backslash is a backslash") { CHECK(password_of(good(R"("ada" "a\nb\\")"), "ada") == R"(a\nb\\)"); }

TEST_CASE("users: everything between quotes counts") {
    const Users users = good("\" ada \" \"; x \"\n\"\xc3\xa4\" \"\xff\x01\"\n");
    CHECK(password_of(users, " ada ") == "; x ");
    CHECK(password_of(users, "\xc3\xa4") == "\xff\x01");
}

TEST_CASE("users: case tells users apart") { CHECK(good("\"ada\" \"x\"\n\"Ada\" \"y\"").size() == 2); }

TEST_CASE("users: comments and empty lines are no users") {
    CHECK(good("").empty());
    CHECK(good("\n\n  \n\t\n").empty());
    CHECK(good("; \"ada\" \"x\"\n  ; too\n;\n").empty());
    CHECK(good(";\n\n\"ada\" \"x\"\n;\n").size() == 1);
}

TEST_CASE("users: what follows the password is ignored, as PgBouncer does") {
    for (const std::string rest : {" \"third\" \"field\"", " ; comment", "x", " \"", " \"x"}) {
        const Users users = good("\"ada\" \"x\"" + rest + "\n\"bob\" \"y\"");
        CHECK(users.size() == 2);
        CHECK(password_of(users, "ada") == "x");
    }
}

TEST_CASE("users: white space around the fields is of no account") {
    const Users users = good("  \"ada\"   \"x\"  \n\t\"bob\"\t\v\f\"y\"\n");
    CHECK(password_of(users, "ada") == "x");
    CHECK(password_of(users, "bob") == "y");
}

TEST_CASE("users: lines may end as on Windows") {
    const Users users = good("; comment\r\n\r\n\"ada\" \"x\"\r\n\"bob\" \"y\"\r\n");
    CHECK(users.size() == 2);
    CHECK(password_of(users, "ada") == "x");
    CHECK(password_of(users, "bob") == "y");
}

TEST_CASE("users: what is no user and password is an error with its line in the file") {
    for (const std::string& line :
         {"ada x"s, "\"ada\""s, "\"ada\" "s, "\"ada\" x"s, "ada \"x\""s, "\"ada"s, "\"ada\" \"x"s, "\"ada\" \"x\"\""s,
          "\"ada\"\"x\""s, "\"\" \"x\""s, "'ada' 'x'"s, "\"ada\", \"x\""s, "x\"ada\" \"x\""s, "\""s, "# comment"s,
          "\xef\xbb\xbf\"ada\" \"x\""s}) {
        CAPTURE(line);
        const Parsed parsed = parse("\"bob\" \"y\"\n;\n" + line + "\n\"eve\" \"z\"\n");
        CHECK(parsed.errors ==
              Lines{"/etc/pgairlock/users.txt:3: expected \"user\" \"password\", each in double quotes"});
        CHECK(parsed.users.size() == 2);
    }
}

TEST_CASE("users: a quote that does not end does not swallow the next line") {
    const Parsed parsed = parse("\"ada\" \"x\n\"bob\" \"y\"\n\"eve\n\" \"z\"\n");
    CHECK(parsed.users.size() == 1);
    CHECK(password_of(parsed.users, "bob") == "y");
    CHECK(parsed.errors.size() == 3);
}

TEST_CASE("users: an error tells nothing of what the file holds") {
    for (const std::string& error : parse("\"ada\" hunter2\nhunter2\n\"hunter2\n\"ada\" \"hunter2\n").errors) {
        CHECK(error.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("users: all errors are reported at once, each with its line") {
    const Parsed parsed = parse("x\n\n\"ada\" \"SCRAM-SHA-256$\"\r\n;\ny");
    REQUIRE(parsed.errors.size() == 3);
    CHECK(parsed.errors[0].starts_with("/etc/pgairlock/users.txt:1: "));
    CHECK(parsed.errors[1].starts_with("/etc/pgairlock/users.txt:3: "));
    CHECK(parsed.errors[2].starts_with("/etc/pgairlock/users.txt:5: "));
}

TEST_CASE("users: a SCRAM secret is read as one") {
    const Users users = good("\"ada\" \"" + secret + "\"");
    REQUIRE(users.contains("ada"));
    const protocol::ScramUser& ada = users.find("ada")->second;
    CHECK(ada.password.empty());
    REQUIRE(ada.secret);
    CHECK(ada.secret->salt.iterations == 4096);
    CHECK(protocol::base64_encode(ada.secret->server_key) == "YeohOPfu0F87ZZuob64ZghOyjOh2GHg1wGzUlhN5boE=");
}

TEST_CASE("users: a SCRAM secret that is broken is an error, and not a password") {
    for (const std::string& broken : {"SCRAM-SHA-256$"s, secret.substr(0, secret.size() - 1), secret + " ",
                                      "SCRAM-SHA-256$0" + secret.substr(18)}) {
        CAPTURE(broken);
        const Parsed parsed = parse("\n\"ada\" \"" + broken + "\"");
        CHECK(parsed.errors == Lines{"/etc/pgairlock/users.txt:2: the SCRAM secret of user \"ada\" is broken: expected "
                                     "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, as in pg_authid.rolpassword"});
        const auto ada = parsed.users.find("ada");
        CHECK((ada == parsed.users.end() || ada->second.password.empty()));
    }
}

TEST_CASE("users: what only looks a little like a secret is a password") {
    for (const std::string password : {"SCRAM-SHA-256", "scram-sha-256$4096", "SCRAM-SHA-1$x", "md5", "md5x"}) {
        CHECK(password_of(good("\"ada\" \"" + password + "\""), "ada") == password);
    }
    CHECK(password_of(good("\"ada\" \"" + md5 + "0\""), "ada") == md5 + "0");
    CHECK(password_of(good("\"ada\" \"" + md5.substr(0, 34) + "\""), "ada") == md5.substr(0, 34));
    CHECK(password_of(good("\"ada\" \"" + md5.substr(0, 34) + "B\""), "ada") == md5.substr(0, 34) + "B");
    CHECK(password_of(good("\"ada\" \"MD5" + md5.substr(3) + "\""), "ada") == "MD5" + md5.substr(3));
    CHECK(password_of(good("\"ada\" \"md5g" + md5.substr(4) + "\""), "ada") == "md5g" + md5.substr(4));
}

TEST_CASE("users: an MD5 hash is of no use, and its user is left out with a warning") {
    const Parsed parsed = parse("\"ada\" \"" + md5 + "\"\n\"bob\" \"y\"");
    CHECK(parsed.errors == Lines{});
    CHECK(parsed.warnings == Lines{"/etc/pgairlock/users.txt:1: user \"ada\" has an MD5 hash, which is of no use for "
                                   "SCRAM: the user is left out"});
    CHECK(parsed.users.size() == 1);
    CHECK(parsed.users.contains("bob"));
}

TEST_CASE("users: a user without a password is left out with a warning") {
    const Parsed parsed = parse("\"ada\" \"\"\n\"bob\" \"y\"");
    CHECK(parsed.errors == Lines{});
    CHECK(parsed.warnings == Lines{"/etc/pgairlock/users.txt:1: user \"ada\" has no password: the user is left out"});
    CHECK(parsed.users.size() == 1);
}

TEST_CASE("users: of two lines for one user the last counts, with a warning") {
    const Parsed parsed = parse("\"ada\" \"old\"\n\"bob\" \"y\"\n\"ada\" \"new\"\n");
    CHECK(parsed.errors == Lines{});
    CHECK(parsed.warnings == Lines{"/etc/pgairlock/users.txt:3: user \"ada\" was there before: this line counts"});
    CHECK(password_of(parsed.users, "ada") == "new");
}

TEST_CASE("users: a secret takes the place of a password, and the other way round") {
    const Parsed secret_last = parse("\"ada\" \"old\"\n\"ada\" \"" + secret + "\"");
    CHECK(secret_last.users.find("ada")->second.password.empty());
    CHECK(secret_last.users.find("ada")->second.secret);
    CHECK(password_of(parse("\"ada\" \"" + secret + "\"\n\"ada\" \"new\"").users, "ada") == "new");
}

TEST_CASE("users: who is left out by the last line is left out") {
    // The line before may hold the password that was to be taken away.
    for (const std::string& last : {""s, md5}) {
        const Parsed parsed = parse("\"ada\" \"old\"\n\"ada\" \"" + last + "\"");
        CHECK_FALSE(parsed.warnings.empty());
        CHECK_FALSE(parsed.users.contains("ada"));
    }
}

// --- The file

TEST_CASE("users file: is read whole, byte by byte") {
    const std::string text = "\"ada\" \"x\"\r\n\0\xff"s;
    const TemporaryFile written(text);
    std::vector<config::Diagnostic> errors;
    const auto read = config::read_file(written.file, FileKind::users, errors);
    REQUIRE(read);
    CHECK(as_text(*read) == text);
    const TemporaryFile nothing("");
    CHECK(refusal(nothing.file).empty());
}

TEST_CASE("users file: nobody else may read it") {
    const bool root = ::geteuid() == 0;
    for (const mode_t good : {0600u, 0400u, 0700u}) CHECK(refusal(TemporaryFile("", good).file).empty());
    for (const mode_t bad : {0604u, 0644u, 0660u, 0601u, 0606u, 0610u, 0620u, 0777u}) {
        CAPTURE(bad);
        const TemporaryFile written("", bad);
        const std::string why = refusal(written.file);
        CHECK(why.starts_with("users file \"" + written.file.path +
                              "\" has group or world access: file must have permissions u=rw (0600)"));
        CHECK(refusal(written.file, FileKind::private_key).starts_with("private key file \""));
        CHECK(refusal(written.file, FileKind::certificate).empty());
    }
    for (const mode_t shared : {0640u, 0440u})
        CHECK(refusal(TemporaryFile("", shared).file).empty() == root);  // root's, with a group
}

TEST_CASE("users file: belongs to us or to root") {
    if (::geteuid() != 0) return;  // only root can give files away
    const TemporaryFile written("");
    REQUIRE(::chown(written.file.path.c_str(), 12345, 12345) == 0);
    CHECK(refusal(written.file) ==
          "users file \"" + written.file.path + "\" must be owned by the current user or root");
}

TEST_CASE("users file: is a file, and not a large one") {
    config::File folder{.path = std::filesystem::temp_directory_path().string(), .origin = users_file.origin};
    CHECK(refusal(folder) == "users file \"" + folder.path + "\" is not a regular file");
    const config::File none{.path = "/nonexistent/users.txt", .origin = users_file.origin};
    CHECK(refusal(none) == "users file \"/nonexistent/users.txt\" cannot be opened: No such file or directory");

    const TemporaryFile large("");
    std::filesystem::resize_file(large.file.path, 16 * 1024 * 1024 + 1);
    CHECK(refusal(large.file) ==
          "users file \"" + large.file.path + "\" is larger than 16 MiB, which none needs to be");
}

TEST_CASE("users file: a FIFO in its place is not waited for") {
    const TemporaryFile written("");
    std::filesystem::remove(written.file.path);
    REQUIRE(::mkfifo(written.file.path.c_str(), 0600) == 0);
    CHECK(refusal(written.file).ends_with("is not a regular file"));
}
