#include "tls/passphrase.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;

std::string text_of(const std::string& command) {
    const tls::PassPhrase given = tls::ask_passphrase(command);
    return given.error.empty() ? std::string(protocol::as_text(given.text)) : "error: " + given.error;
}

}  // namespace

TEST_CASE("the first line that a command writes is the pass phrase") {
    CHECK(text_of("echo secret") == "secret");
    CHECK(text_of("printf secret") == "secret");
    CHECK(text_of("printf 'a b \\r\\n'") == "a b ");
    CHECK(text_of("printf 'one\\ntwo\\n'") == "one");
    CHECK(text_of("A=1; [ $A = 1 ] && echo it is a shell") == "it is a shell");
}

TEST_CASE("placeholders are PostgreSQL's") {
    CHECK(text_of("echo '%p'") == "Enter PEM pass phrase:");
    CHECK(text_of("echo '%%p %d %'") == "%p %d %");
}

TEST_CASE("a command that gives no pass phrase says why, and nothing of itself") {
    CHECK(text_of("echo secret; exit 7") == "error: exited with code 7");
    CHECK(text_of("echo secret; kill -9 $$") == "error: was ended by signal 9");
    CHECK(text_of("/nonexistent/secret 2>/dev/null") == "error: exited with code 127");
    CHECK(text_of("true") == "error: wrote no line");
    CHECK(text_of("echo; echo secret") == "error: wrote no line");
    CHECK(text_of("head -c 1024 /dev/zero | tr '\\0' x") == "error: wrote a line of 1024 bytes or more");
    CHECK(text_of("head -c 10000000 /dev/zero | tr '\\0' x") == "error: wrote a line of 1024 bytes or more");
    CHECK(text_of("head -c 1023 /dev/zero | tr '\\0' x") == std::string(1023, 'x'));
}

TEST_CASE("a command that asks somebody finds nobody") {
    CHECK(text_of("read answer; echo \"got $answer\"") == "got ");
}

TEST_CASE("a command whose exit code nobody knows gives no pass phrase") {
    auto* const before = std::signal(SIGCHLD, SIG_IGN);
    const tls::PassPhrase given = tls::ask_passphrase("echo secret; exit 7");
    std::signal(SIGCHLD, before);
    CHECK(given.text.empty());
    CHECK(given.error == "ended, and nobody knows how (SIGCHLD is ignored)");
}

TEST_CASE("a command has our environment, and no descriptor of ours") {
    const int ours = ::open("/dev/null", O_RDONLY);  // on purpose without O_CLOEXEC
    ::setenv("PGAIRLOCK_TEST_WORD", "known", 1);
    const std::string command = "[ -e /proc/$$/fd/" + std::to_string(ours) + " ] || echo $PGAIRLOCK_TEST_WORD";
    CHECK(text_of(command) == "known");
    ::unsetenv("PGAIRLOCK_TEST_WORD");
    ::close(ours);
}

TEST_CASE("a command that does not end is ended, with its children, whether it writes or not") {
    const support::Folder folder;
    const std::string file = folder.file("pid");
    for (const std::string command : {"sleep 1000", "exec >&-; sleep 1000", "sleep 1000 & wait", "yes"}) {
        const tls::PassPhrase given = tls::ask_passphrase("echo $$ > " + file + "; " + command, 500ms);
        CHECK(given.error == "took longer than 500 ms");
        CHECK(given.text.empty());
        const pid_t group = std::stoi(support::content(file));
        const auto patience = std::chrono::steady_clock::now() + 30s;
        while (::kill(-group, 0) == 0 && std::chrono::steady_clock::now() < patience) std::this_thread::sleep_for(5ms);
        CHECK(::kill(-group, 0) != 0);
    }
}
