// The dashboard of inventories, by its answers; the thread that reads them.
#include "proxy/dashboard/dashboard_site.hpp"

#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <mutex>

#include "proxy/dashboard/page_files.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::dashboard;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

std::vector<InventoryRows> inventory() {
    const Timestamp now = to_timestamp(std::chrono::system_clock::now());
    InventoryRows rows;
    rows.instance = "a1";
    rows.proxy = {.id = "a1", .name = "app-1", .last_seen = now};
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = "<b>x</b>", .datname = "shop", .application_name = ""}};
    row.first_seen = row.last_seen = now - 1'000'000;
    row.connections = row.plain = 1;
    row.days[now / day_length]["plain"] = {.connections = 1, .first_seen = row.first_seen, .last_seen = row.last_seen};
    rows.clients.push_back(row);
    return {rows};
}

HttpResponse ask(asio::io_context& io, DashboardSite& site, const std::string& path) {
    HttpRequest request{.method = "GET", .path = path, .hosts = {"localhost"}, .authorization = {}, .accept = {}};
    std::optional<HttpResponse> answered;
    asio::co_spawn(
        io,
        [&]() -> tls::Awaitable<> {
            std::optional<HttpResponse> response = co_await site.answer(request);
            answered = response ? std::move(*response) : http_text(404, "");
        },
        asio::detached);
    while (!answered) {
        io.restart();
        io.run_one_for(10ms);
    }
    return *answered;
}

/// Until it is there.
json::value ask_json(asio::io_context& io, DashboardSite& site, const std::string& path) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    HttpResponse response = ask(io, site, path);
    while (response.status == 503 && std::chrono::steady_clock::now() < end) response = ask(io, site, path);
    REQUIRE(response.status == 200);
    return json::parse(response.content());
}

std::unique_ptr<DashboardSite> fleet(asio::io_context& io, InventoryPlace place) {
    Survey::Settings settings{.places = {}, .running = nullptr, .counts = false};
    settings.places.push_back(std::move(place));
    return std::make_unique<DashboardSite>(io.get_executor(), std::make_shared<Survey>(std::move(settings)), nullptr);
}

std::string header(const HttpResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
        if (key == name) return value;
    }
    return "";
}

}  // namespace

TEST_CASE("a fleet's dashboard tells clients, certificates and the rotation of its inventory") {
    asio::io_context io{1};
    const auto site = fleet(io, {inventory});
    const json::value clients = ask_json(io, *site, "/api/clients.json");
    CHECK(clients.at("clients").at(0).at("usename").as_string() == "<b>x</b>");
    CHECK(clients.at("clients").at(0).at("sessions_open").is_null());
    CHECK(clients.at("generated").is_string());
    const json::value certificates = ask_json(io, *site, "/api/certificates.json");
    CHECK(certificates.at("upstream").as_array().empty());
    CHECK(certificates.at("server").is_null());
    const json::value rotation = ask_json(io, *site, "/api/rotation.json");
    CHECK(rotation.at("days").as_array().size() == 1);
    const json::value overview = ask_json(io, *site, "/api/overview.json");
    CHECK(overview.at("kind").as_string() == "fleet");
    CHECK(overview.at("now").is_null());
    CHECK(overview.at("proxy").is_null());
    CHECK(overview.at("proxies").at(0).at("name").as_string() == "app-1");
    CHECK(overview.at("clients").at("plain").to_number<int>() == 1);
}

TEST_CASE("what a fleet does not have is refused with a sentence, and no path is guessed") {
    asio::io_context io{1};
    const auto site = fleet(io, {inventory});
    for (const char* path : {"/api/sessions.json", "/api/hosts.json"}) {
        const HttpResponse response = ask(io, *site, path);
        CHECK(response.status == 404);
        CHECK(json::parse(response.body).at("error").is_string());
    }
    for (const char* path : {"/api/", "/api/other.json", "/page.css/", "/../page.css", "//"})
        CHECK(ask(io, *site, path).status == 404);
}

TEST_CASE("the page comes with a policy that lets nothing in from elsewhere") {
    asio::io_context io{1};
    const auto site = fleet(io, {inventory});
    CHECK(page_files().size() >= 3);
    const HttpResponse page = ask(io, *site, "/");
    CHECK(page.status == 200);
    CHECK(page.content_type == "text/html; charset=utf-8");
    CHECK(page.body.starts_with("<!DOCTYPE html>"));
    CHECK(header(page, "Content-Security-Policy").starts_with("default-src 'none'; script-src 'self';"));
    CHECK(header(page, "Content-Security-Policy").find("unsafe") == std::string::npos);
    CHECK(header(page, "Referrer-Policy") == "no-referrer");
    CHECK(ask(io, *site, "/page.css").content_type == "text/css; charset=utf-8");
}

TEST_CASE("until inventories have been read clients are not known, and not none") {
    asio::io_context io{1};
    const auto site = fleet(io, {[]() -> std::vector<InventoryRows> {
                                throw std::runtime_error("cannot connect to the inventory: refused");
                            }});
    const auto has_tried = [&] {
        const json::value overview = json::parse(ask(io, *site, "/api/overview.json").content());
        CHECK(overview.at("clients").is_null());
        return std::string(overview.at("unknown").at(0).as_string()).starts_with("cannot connect to the inventory");
    };
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!has_tried() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    CHECK(has_tried());
    const HttpResponse response = ask(io, *site, "/api/clients.json");
    CHECK(response.status == 503);
    CHECK(header(response, "Retry-After") == "1");
    CHECK(std::string(json::parse(response.body).at("error").as_string()).find("refused") != std::string::npos);
    const json::value overview = json::parse(ask(io, *site, "/api/overview.json").content());
    CHECK(overview.at("warnings").at(0).at("what").as_string() == "inventory_unread");
    CHECK_FALSE(site->week());
}

TEST_CASE("a disk that hangs holds up neither an answer nor the end") {
    auto gate = std::make_shared<std::promise<void>>();
    const std::shared_future<void> opened = gate->get_future();
    asio::io_context io{1};
    {
        const auto site = fleet(io, {[opened]() -> std::vector<InventoryRows> {
                                    opened.wait();
                                    return inventory();
                                }});
        CHECK(ask(io, *site, "/api/clients.json").status == 503);
        CHECK(ask(io, *site, "/api/overview.json").status == 200);
        CHECK(ask(io, *site, "/").status == 200);
    }
    gate->set_value();  // what was left behind ends by itself
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (OwnThread::left_behind() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    CHECK_FALSE(OwnThread::left_behind());
}
