#include "proxy/inventory/inventory_use.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using proxy::InventoryUse;
using State = InventoryUse::Other::State;
using support::Folder;

/// What another process sees: the locks are those of a process.
State seen_by_another(const std::string& inventory) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(static_cast<int>(InventoryUse(inventory).other().state));
    int status = 0;
    ::waitpid(child, &status, 0);
    return static_cast<State>(WEXITSTATUS(status));
}

}  // namespace

TEST_CASE("inventory use: others see one that serves, drains, or is gone", "[inventory_use]") {
    const Folder folder;
    const std::string inventory = folder.file("inventory.db");
    {
        InventoryUse use(inventory);
        CHECK(use.other().state == State::none);
        CHECK(seen_by_another(inventory) == State::serving);
        CHECK(use.other().state == State::none);
        use.draining();
        CHECK(seen_by_another(inventory) == State::draining);
    }
    CHECK(seen_by_another(inventory) == State::none);
}

TEST_CASE("inventory use: without its file nobody is told anything", "[inventory_use]") {
    const Folder folder;
    InventoryUse use(folder.file("missing/inventory.db"));
    CHECK(use.other().state == State::none);
    use.draining();
}

TEST_CASE("inventory use: whoever works with no inventory sees who does, and makes no file", "[inventory_use]") {
    const Folder folder;
    const std::string inventory = folder.file("inventory.db");
    CHECK(InventoryUse::seen_from_outside(inventory).state == State::none);
    CHECK(::access(proxy::lock_file(inventory).c_str(), F_OK) != 0);
    int ready[2], over[2];
    REQUIRE((::pipe(ready) == 0 && ::pipe(over) == 0));
    char byte = 'x';
    const pid_t child = ::fork();
    if (child == 0) {
        const InventoryUse use(inventory);
        const bool told = ::write(ready[1], &byte, 1) == 1;
        ::close(over[1]);
        ::_exit(told && ::read(over[0], &byte, 1) == 0 ? 0 : 1);
    }
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    const InventoryUse::Other other = InventoryUse::seen_from_outside(inventory);
    CHECK((other.state == State::serving && other.pid == child));
    for (const int end : {over[0], over[1], ready[0], ready[1]}) ::close(end);
    int status = 1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(InventoryUse::seen_from_outside(inventory).state == State::none);
}
