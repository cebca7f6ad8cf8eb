#include "proxy/admin/console_results.hpp"

#include "support/catch.hpp"

using proxy::ResultShare;
using proxy::ResultStock;

namespace {

constexpr std::size_t mib = 1024 * 1024;

}  // namespace

TEST_CASE("results: what is small is taken from nobody, also when nothing is left", "[console]") {
    const auto stock = std::make_shared<ResultStock>(0);
    ResultShare small(stock, 1);
    CHECK(small.cover(ResultStock::free_of_each));
    CHECK_FALSE(small.cover(ResultStock::free_of_each + 1));
    CHECK(stock->taken() == 0);
}

TEST_CASE("results: one user gets half of the stock, and all of them no more than there is", "[console]") {
    const auto stock = std::make_shared<ResultStock>(10 * mib);
    ResultShare first(stock, 1);
    ResultShare second(stock, 1);
    CHECK(first.cover(4 * mib));
    CHECK(second.cover(3 * mib));
    CHECK_FALSE(second.cover(4 * mib));  // 3 and 3 of the 5 that are this user's
    CHECK(stock->taken() == 5 * mib);
    ResultShare other(stock, 2);
    CHECK(other.cover(6 * mib));
    CHECK(stock->taken() == 10 * mib);
    ResultShare third(stock, 3);
    CHECK(third.cover(mib));
    CHECK_FALSE(third.cover(mib + 1));
}

TEST_CASE("results: all is given back at the end, and a result that was refused more keeps what it had", "[console]") {
    const auto stock = std::make_shared<ResultStock>(4 * mib);
    {
        ResultShare share(stock, 1);
        CHECK(share.cover(2 * mib));
        CHECK(share.cover(mib));  // less is no less taken
        CHECK(stock->taken() == mib);
        CHECK_FALSE(share.cover(20 * mib));
        CHECK(stock->taken() == mib);
    }
    CHECK(stock->taken() == 0);
    ResultShare again(stock, 1);
    CHECK(again.cover(3 * mib));
}
