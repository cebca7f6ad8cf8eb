#include "proxy/upstream/upstream.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "protocol/utf8.hpp"
#include "proxy/observation/often.hpp"
#include "proxy/upstream/jitter.hpp"
#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

/// How long an address may be silent before the next one of its host begins beside it (RFC 8305,
/// section 5: "Connection Attempt Delay").
constexpr std::chrono::milliseconds connection_attempt_delay{250};

using protocol::SslMode;
using Clock = std::chrono::steady_clock;
using Endpoint = asio::generic::stream_protocol::endpoint;
using Kind = AttemptFailure::Kind;

/// What this host or process ran out of says nothing of the server.
bool is_ours(const boost::system::error_code& error) {
    for (const int ours : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL}) {
        if (error == boost::system::error_code(ours, boost::system::system_category())) return true;
    }
    return false;
}

/// Why nothing is tried any more at the deadline: only a client's login waits for turns.
std::string why_no_time_left(const LoginTurns* turns) {
    return turns != nullptr ? "client_login_timeout is over" : "there is no time left";
}

bool allows_clear(SslMode mode) { return mode < SslMode::require; }

/// Asks for TLS. Nothing: the server said 'S'; `refused`: it said 'N'.
tls::Awaitable<std::optional<AttemptFailure>> request_tls(tls::Stream& stream, bool& refused) {
    const protocol::Buffer request = protocol::serialize(protocol::SSLRequest{});
    co_await stream.write(request);
    std::array<std::uint8_t, 16> answer{};
    const std::size_t n = co_await stream.read_some(answer);
    if (n == 0) co_return AttemptFailure{Kind::not_accepted, "server closed the connection in answer to SSLRequest"};
    // More than one byte before TLS was put there by somebody between us (CVE-2021-23222).
    if (answer[0] == 'S' && n > 1) {
        co_return AttemptFailure{Kind::suspicious,
                                 "received unencrypted data after SSL response: possible man-in-the-middle"};
    }
    if (answer[0] == 'S') co_return std::nullopt;
    if (answer[0] == 'N' && n == 1) {
        refused = true;
        co_return std::nullopt;
    }
    // An ErrorResponse here may come from anybody: its text is not shown (CVE-2024-10977).
    const bool error = answer[0] == 'E';
    co_return AttemptFailure{Kind::suspicious, error ? "server sent an error response in answer to SSLRequest"
                                                     : "server sent an invalid response to SSLRequest"};
}

/// Of a handshake that failed.
tls::Advice advice_about(const tls::Stream& stream, const UpstreamRoute& route, const std::string& host) {
    const tls::HandshakeNotes& notes = stream.notes();
    if (notes.verify.code != X509_V_OK) {
        return tls::advise(notes.verify, {.name = route.tls->demanded_name(host), .anchors = route.tls->anchor_files()},
                           std::chrono::system_clock::now());
    }
    const char* const sent_name = SSL_get_servername(stream.ssl(), TLSEXT_NAMETYPE_host_name);
    return tls::advise_alert(notes.alert, sent_name ? sent_name : "", route.settings.sslcert.path);
}

tls::Awaitable<std::optional<AttemptFailure>> start_tls(tls::Stream& stream, const UpstreamRoute& route,
                                                        const Reached& to) {
    const std::string& host = to.host;
    tls::SslPtr ssl = route.tls->connect(host, to.address);
    const tls::Handshake handshake = co_await stream.handshake(std::move(ssl));
    if (handshake.end != tls::Handshake::End::complete) {
        const bool timed_out = handshake.end == tls::Handshake::End::timed_out;
        AttemptFailure failure{timed_out ? Kind::unreachable : Kind::not_accepted, handshake.error};
        failure.advice = advice_about(stream, route, host);
        if (stream.notes().verify.code != X509_V_OK) failure.verify = stream.notes().verify;
        co_return failure;
    }
    const unsigned char* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(stream.ssl(), &alpn, &alpn_size);
    if (route.settings.sslnegotiation == config::SslNegotiation::direct && alpn_size == 0) {
        co_return AttemptFailure{Kind::not_accepted, "direct TLS was established without ALPN protocol negotiation"};
    }
    co_return std::nullopt;
}

/// From a connected socket to one that is ready for a StartupMessage.
tls::Awaitable<std::optional<AttemptFailure>> establish(tls::Stream& stream, const UpstreamRoute& route, Reached& to,
                                                        Encryption encryption) {
    if (encryption == Encryption::clear) co_return std::nullopt;

    const auto tls_start = Clock::now();
    bool said_no = false;
    if (route.settings.sslnegotiation == config::SslNegotiation::postgres) {
        auto failure = co_await request_tls(stream, said_no);
        if (failure) co_return failure;
    }
    if (said_no) {
        const protocol::SslMode mode = route.settings.sslmode;
        if (allows_clear(mode)) co_return std::nullopt;
        co_return AttemptFailure{Kind::not_accepted, "server does not support TLS, but sslmode=" +
                                                         std::string(protocol::to_string(mode)) + " requires it"};
    }
    auto failure = co_await start_tls(stream, route, to);
    if (failure) co_return failure;
    to.tls = route.tls->describe(stream.ssl());
    route.tls->remember_group(to.address, stream.ssl());
    to.tls_time = tls::since(tls_start);
    co_return std::nullopt;
}

/// Why a server's certificate was refused, in the words an operator needs.
std::string verify_detail(const AttemptFailure& failure, const UpstreamRoute& route) {
    const tls::VerifyFailure& verify = *failure.verify;
    std::string sans, sent;
    for (const std::string& san : tls::first_names(verify.leaf.sans)) sans += (sans.empty() ? "" : ", ") + san;
    for (const std::string& subject : verify.sent) sent += (sent.empty() ? "\"" : ", \"") + subject + "\"";
    const std::string sentence = failure.advice.sentence.empty()
                                     ? "OpenSSL says of \"" + verify.certificate + "\", at depth " +
                                           std::to_string(verify.depth) + ": " + verify.reason + "."
                                     : failure.advice.sentence;
    return sentence + " Server certificate: subject \"" + verify.leaf.subject + "\", issuer \"" + verify.leaf.issuer +
           "\", valid from " + tls::to_rfc3339(verify.leaf.not_before) + " until " +
           tls::to_rfc3339(verify.leaf.not_after) + ", names " + (sans.empty() ? "none" : sans) + ". Sent: " + sent +
           ". Verified against: " + route.tls->anchor_files() +
           (route.settings.sslcrl ? "; CRLs: " + route.settings.sslcrl.path : "") + ".";
}

UpstreamFailure describe_failure(const AttemptFailure& worst, const UpstreamRoute& route, std::string all_errors) {
    UpstreamFailure failure;
    failure.reason = worst.reason();
    failure.is_ours = worst.is_ours;
    failure.address = worst.address;
    failure.error = protocol::as_utf8(all_errors, protocol::max_peer_text);
    failure.response = {
        .severity = "FATAL",
        .sqlstate = std::string(sqlstate(failure.reason)),
        .message = std::string(sentence(failure.reason)) + " \"" + route.settings.name + "\": " + failure.error,
        .detail = {},
        .hint = {}};
    if (worst.verify) {
        failure.verify_error = worst.verify->reason;
        failure.response.message = std::string(sentence(failure.reason)) + " \"" + route.settings.name + "\" (" +
                                   worst.host + ", " + worst.address + ") was refused: " + worst.verify->reason;
        failure.response.detail = verify_detail(worst, route);
    } else {
        failure.response.detail = worst.advice.sentence;
    }
    failure.response.hint = worst.advice.hint;
    failure.advice = worst.advice;
    return failure;
}

}  // namespace

SocketOptions socket_options(const config::Upstream& settings) {
    return {.keepalive = settings.tcp_keepalive, .user_timeout = settings.tcp_user_timeout};
}

UpstreamFailure waited_too_long(const UpstreamRoute& route, const std::string& host) {
    const std::string upstream = route.settings.name;
    return {.reason = Reason::login_timeout,
            .response = {.severity = "FATAL",
                         .sqlstate = std::string(sqlstate(Reason::login_timeout)),
                         .message = std::string(sentence(Reason::login_timeout)),
                         .detail = "The login waited for its turn at " + host +
                                   ", where max_logins_in_flight of "
                                   "upstream \"" +
                                   upstream +
                                   "\" were under way: " + std::to_string(route.settings.max_logins_in_flight) + ".",
                         .hint = "Raise upstream." + upstream + ".max_logins_in_flight, or look why logins take long."},
            .address = {},
            .error = {},
            .verify_error = {},
            .advice = {}};
}

tls::Awaitable<Connected> Connector::connect(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline,
                                             const std::function<void()>* on_wait) {
    using Next = Attempts::Next;
    while (aborted_.empty()) {
        if (attempts.next() == Next::resolve && Clock::now() >= deadline) {
            attempts.not_tried(config::to_string(host_of(attempts, route)), why_no_time_left(turns_));
        } else if (attempts.next() == Next::resolve) {
            const bool ours = co_await take_turn(attempts, route, deadline, on_wait);
            if (ours) co_await resolve(attempts, route, deadline);
            if (!ours && aborted_.empty() && attempts.next() == Next::resolve && Clock::now() >= deadline)
                co_return waited_too_long(route, config::to_string(host_of(attempts, route)));
        } else if (attempts.next() == Next::connect) {
            begin_address(attempts, route, deadline);
        } else if (attempts.next() == Next::wait) {
            co_await wait_for_address(attempts, route);
        } else if (attempts.next() == Next::establish) {
            const config::Address& host = host_of(attempts, route);
            Reached to{.endpoint = resolved_.endpoints[attempts.address()],
                       .host = host.host,
                       .configured = config::to_string(host),
                       .resolve = resolve_time_,
                       .stale = resolved_.stale};
            Attempted attempted = co_await establish_winner(route, std::move(to), attempts.encryption());
            if (auto* made = std::get_if<VerifiedConnection>(&attempted)) {
                const Encryption got = made->stream->encrypted() ? Encryption::tls : Encryption::clear;
                if (attempts.connected(got, made->reached.address, Clock::now())) co_return std::move(*made);
            } else if (aborted_.empty()) {
                // Another name may be the one that its certificate has.
                if (std::get<AttemptFailure>(attempted).kind != Kind::unreachable)
                    std::erase(tried_, std::get<AttemptFailure>(attempted).address);
                failed(attempts, route, std::move(std::get<AttemptFailure>(attempted)),
                       [&](AttemptFailure failure) { attempts.failed(std::move(failure), Clock::now()); });
            }
        } else {
            end_turn();
            co_return describe_failure(attempts.failure(), route, attempts.errors());
        }
    }
    end_turn();
    co_return describe_failure({.kind = Kind::unreachable, .error = aborted_}, route, aborted_);
}

tls::Awaitable<Connected> Connector::connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                                     const std::string& host, Encryption encryption) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    Reached to{.endpoint = endpoint, .host = host};
    const auto deadline = Clock::now() + route.settings.connect_timeout;
    race_ = std::make_unique<TcpRace>(executor);
    if (!aborted_.empty()) race_->close();
    race_->begin({.endpoint = endpoint, .options = socket_options(route.settings), .deadline = deadline});
    winner_ = co_await race_->next(deadline);
    Attempted attempted = co_await establish_winner(route, std::move(to), encryption);
    if (auto* made = std::get_if<VerifiedConnection>(&attempted)) co_return std::move(*made);
    const AttemptFailure& failure = std::get<AttemptFailure>(attempted);
    co_return describe_failure(failure, route, failure.error);
}

void Connector::answered(const UpstreamRoute& route, const Reached& reached) {
    turn_.answered();
    outages_.served(reached.address, route.settings.name);
    if (reached.configured != reached.address) outages_.served(reached.configured, route.settings.name);
}

void Connector::unanswered(Attempts& attempts, const UpstreamRoute& route, const Reached& reached) {
    const auto report = [&](AttemptFailure failure) { attempts.unanswered(std::move(failure), Clock::now()); };
    if (reached.prewarmed) return report({});  // a new connection says whether the address is at fault
    failed(attempts, route,
           {.kind = Kind::unreachable,
            .error = "timeout expired: no answer to the StartupMessage",
            .host = reached.host,
            .address = reached.address,
            .is_ours = reached.cut_short,
            .in_login = true},
           report);
}

void Connector::refused(Attempts& attempts, const protocol::ErrorResponse& refusal, const Reached& reached) {
    constexpr std::size_t shown = 256;
    attempts.refused(refusal.sqlstate, {.kind = Kind::unreachable,
                                        .error = protocol::printable(protocol::as_utf8(refusal.message, shown)),
                                        .host = reached.host,
                                        .address = reached.address});
}

void Connector::unwanted(Attempts& attempts, const Reached& reached) {
    attempts.unwanted({.kind = Kind::unwanted,
                       .error = std::string(why_unfit(attempts.wanted())),
                       .host = reached.host,
                       .address = reached.address},
                      Clock::now());
}

UpstreamFailure Connector::refusal(const Attempts& attempts, const UpstreamRoute& route, const Reached& reached) const {
    const std::string why(why_unfit(attempts.wanted()));
    const AttemptFailure failure{
        .kind = Kind::unwanted, .error = why, .host = reached.host, .address = reached.address};
    return describe_failure(failure, route, reached.address + ": " + why);
}

void Connector::abort(std::string why) {
    aborted_ = std::move(why);
    if (race_) race_->close();
    if (connecting_) connecting_->close();
    if (looking_up_) looking_up_->cancel();
}

// --- One step each

bool Connector::may_log_in_at(const UpstreamRoute& route, const std::string& configured) {
    if (turns_ == nullptr) return true;
    turn_ = turns_->take_at_once({route.settings.name, configured}, route.settings.max_logins_in_flight);
    return static_cast<bool>(turn_);
}

/// False: `attempts` goes on with another host, there is no more time, or it was aborted.
tls::Awaitable<bool> Connector::take_turn(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline,
                                          const std::function<void()>* on_wait) {
    if (turns_ == nullptr) co_return true;
    const config::Address& host = host_of(attempts, route);
    const LoginTurns::Host key{route.settings.name, config::to_string(host)};
    if (turn_.is_at(key)) co_return true;
    turn_ = turns_->take_at_once(key, route.settings.max_logins_in_flight);
    if (turn_) co_return true;
    if (on_wait != nullptr) (*on_wait)();
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto start = Clock::now();
    looking_up_ = std::make_shared<tls::Timer>(executor);
    LoginTurns::Wish wish{.host = key,
                          .source = login_ ? login_->source : std::string(),
                          .at_once = route.settings.max_logins_in_flight,
                          .deadline = deadline};
    LoginTurns::Outcome outcome = co_await turns_->take(std::move(wish), looking_up_);
    looking_up_.reset();
    waited_ += tls::since(start);
    if (!aborted_.empty()) co_return false;
    if (auto* const turn = std::get_if<LoginTurns::Turn>(&outcome)) {
        turn_ = std::move(*turn);
        co_return true;
    }
    if (const auto* const told = std::get_if<LoginTurns::Unanswering>(&outcome)) {
        attempts.failed({.kind = Kind::unreachable,
                         .error = *told->error + " (another login; this one waited for its turn)",
                         .host = host.host,
                         .address = key.second},
                        Clock::now());
    }
    co_return false;
}

tls::Awaitable<> Connector::resolve(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    const config::Address& host = host_of(attempts, route);
    const auto start = Clock::now();
    looking_up_ = std::make_shared<tls::Timer>(executor);
    resolved_ =
        co_await resolver_.resolve(host, std::min(deadline, start + route.settings.connect_timeout), looking_up_);
    looking_up_.reset();
    resolve_time_ += tls::since(start);
    if (!aborted_.empty()) co_return;
    auto& endpoints = resolved_.endpoints;
    if (endpoints.empty()) {
        if (Clock::now() >= deadline) resolved_.error += " (" + why_no_time_left(turns_) + ")";
        failed(attempts, route,
               {.kind = Kind::unreachable,
                .error = resolved_.error,
                .host = host.host,
                .address = config::to_string(host),
                .is_ours = resolved_.is_ours || deadline < start + route.settings.connect_timeout},
               [&](AttemptFailure failure) { attempts.failed(std::move(failure), Clock::now()); });
        co_return;
    }
    if (hosts_) std::erase_if(endpoints, [this](const Endpoint& endpoint) { return was_tried(endpoint); });
    if (endpoints.empty()) {
        attempts.tried_by_other_names();
        co_return;
    }
    order_addresses(attempts, route);
    if (endpoints.empty()) {
        attempts.failed({.kind = Kind::unwanted,
                         .error = std::string(why_unfit(attempts.wanted())),
                         .host = host.host,
                         .address = config::to_string(host)},
                        Clock::now());
        co_return;
    }
    race_ = std::make_unique<TcpRace>(executor);
    attempts.resolved(endpoints.size(), Clock::now());
}

void Connector::begin_address(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline) {
    const std::size_t address = attempts.address();
    const auto enough = Clock::now() + route.settings.connect_timeout;
    race_->begin({.number = address,
                  .endpoint = resolved_.endpoints[address],
                  .options = socket_options(route.settings),
                  .deadline = std::min(deadline, enough),
                  .cut_short = deadline < enough});
    if (hosts_) tried_.push_back(to_string(resolved_.endpoints[address]));
    attempts.began();
}

tls::Awaitable<> Connector::wait_for_address(Attempts& attempts, const UpstreamRoute& route) {
    const auto until =
        attempts.may_begin_next() ? race_->last_began() + connection_attempt_delay : Clock::time_point::max();
    std::optional<TcpRace::Arrival> arrival = co_await race_->next(until);
    if (!aborted_.empty()) co_return;
    if (arrival) {
        take(attempts, route, std::move(*arrival));
    } else {
        attempts.silent(Clock::now());
    }
}

void Connector::take(Attempts& attempts, const UpstreamRoute& route, TcpRace::Arrival arrival) {
    const auto now = Clock::now();
    const std::size_t number = arrival.number;
    if (arrival.error) {
        const bool late = arrival.error == asio::error::timed_out;
        failed(attempts, route,
               {.kind = Kind::unreachable,
                .error = late ? "timeout expired" : arrival.error.message(),
                .host = host_of(attempts, route).host,
                .address = to_string(resolved_.endpoints[number]),
                .is_ours = late ? arrival.cut_short : is_ours(arrival.error)},
               [&](AttemptFailure failure) { attempts.not_reached(number, std::move(failure), now); });
        return;
    }
    for (const std::size_t silent : race_->began_by(now - connection_attempt_delay)) {
        outages_.failed({.key = to_string(resolved_.endpoints[silent]),
                         .upstream = route.settings.name,
                         .host = config::to_string(host_of(attempts, route)),
                         .error = "no answer within 250 ms, while another address of the host answered",
                         .patience = connection_attempt_delay},
                        now);
    }
    race_->leave();
    attempts.reached(number);
    winner_ = std::move(arrival);
}

tls::Awaitable<Connector::Attempted> Connector::establish_winner(const UpstreamRoute& route, Reached to,
                                                                 Encryption encryption) {
    to.address = to_string(to.endpoint);
    std::optional<TcpRace::Arrival> from = std::exchange(winner_, std::nullopt);
    std::optional<AttemptFailure> failure;
    std::unique_ptr<tls::Stream> stream;
    if (from && from->socket && aborted_.empty()) {
        to.connect = from->took;
        to.answer_by = from->deadline;
        to.cut_short = from->cut_short;
        stream = std::make_unique<tls::Stream>(std::move(*from->socket), tls::Leg::server);
        if (tap_.tell != nullptr) stream->set_tap(tap_);
        stream->set_deadline(from->deadline, tls::Deadline::connect);
        connecting_ = stream.get();
        try {
            failure = co_await establish(*stream, route, to, encryption);
        } catch (const tls::StreamError& broken) {
            failure = AttemptFailure{Kind::unreachable, broken.what()};
        } catch (const std::exception& ours) {
            failure = AttemptFailure{.kind = Kind::unreachable, .error = ours.what(), .is_ours = true};
        }
        connecting_ = nullptr;
        stream->clear_deadline();
    } else {
        const bool late = !from || from->error == asio::error::timed_out;
        failure = AttemptFailure{.kind = Kind::unreachable,
                                 .error = late ? "timeout expired" : from->error.message(),
                                 .is_ours = !late && is_ours(from->error)};
    }
    if (failure && to.cut_short && failure->kind == Kind::unreachable) failure->is_ours = true;
    if (!aborted_.empty()) failure = AttemptFailure{Kind::unreachable, aborted_};
    if (!failure) {
        outages_.accepted(to.address, route.settings.name);
        if (roles_ && to.tls.leaf && !to.configured.empty())
            roles_->shown({.upstream = route.settings.name, .host = to.configured, .address = to.address},
                          to.tls.leaf->subject);
        co_return VerifiedConnection(std::move(stream), std::move(to));
    }
    failure->host = std::move(to.host);
    failure->address = std::move(to.address);
    co_return std::move(*failure);
}

std::size_t Connector::take_hosts(const UpstreamRoute& route) {
    auto now = route.found ? route.found->all() : nullptr;
    if (now != hosts_) shuffled_.clear();
    hosts_ = std::move(now);
    ordered_for_.reset();
    return hosts(route).size();
}

bool Connector::was_tried(const Endpoint& endpoint) const {
    return std::find(tried_.begin(), tried_.end(), to_string(endpoint)) != tried_.end();
}

const config::Address& Connector::host_of(const Attempts& attempts, const UpstreamRoute& route) {
    const auto& hosts = this->hosts(route);
    if (ordered_for_ != attempts.walk() || host_order_.size() != hosts.size()) order_hosts(attempts, route);
    return hosts[host_order_[attempts.host()]];
}

namespace {

/// Sorts by the ranks, which are asked for once each; those of one rank stay in their order.
template <class T, class Rank>
void sort_by(std::vector<T>& all, Rank rank) {
    if (all.size() < 2) return;
    std::vector<std::pair<unsigned, T>> ranked;
    for (T& one : all) ranked.emplace_back(rank(one), std::move(one));
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::transform(ranked.begin(), ranked.end(), all.begin(), [](auto& one) { return std::move(one.second); });
}

}  // namespace

/// As libpq: they are shuffled once for a client.
void Connector::order_hosts(const Attempts& attempts, const UpstreamRoute& route) {
    const auto& hosts = this->hosts(route);
    tried_.clear();
    if (shuffled_.size() != hosts.size()) {
        shuffled_.resize(hosts.size());
        std::iota(shuffled_.begin(), shuffled_.end(), std::size_t{0});
        if (route.settings.load_balance_hosts == config::LoadBalanceHosts::random)
            std::shuffle(shuffled_.begin(), shuffled_.end(), chance());
    }
    host_order_ = shuffled_;
    ordered_for_ = attempts.walk();
    sort_by(host_order_, [&](std::size_t host) { return rank(attempts, route, config::to_string(hosts[host])); });
}

/// Leaves out those that are known to be in another role than is wanted.
void Connector::order_addresses(const Attempts& attempts, const UpstreamRoute& route) {
    auto& endpoints = resolved_.endpoints;
    if (route.settings.load_balance_hosts == config::LoadBalanceHosts::random)
        std::shuffle(endpoints.begin(), endpoints.end(), chance());
    std::erase_if(endpoints,
                  [&](const Endpoint& endpoint) { return is_ruled_out(attempts, route, to_string(endpoint)); });
    sort_by(endpoints, [&](const Endpoint& endpoint) { return rank(attempts, route, to_string(endpoint)); });
}

namespace {

/// What others found out so lately need not be found out by a login that is lost by it: they look
/// every 0.4 s where any waits, a monitor in its own time.
std::chrono::milliseconds others_look_within(const config::Upstream& settings) {
    constexpr std::chrono::milliseconds least{3'000};
    if (settings.monitor_user.empty()) return least;
    return std::max<std::chrono::milliseconds>(least, 2 * settings.monitor_interval + std::chrono::seconds(1));
}

}  // namespace

/// By its role alone, and not for the one that is to look again. That sessions of this login were
/// read-only, one of them said: then it is tried late, and says it anew. Those who would be lost at
/// another kind wait before they go to what nobody has seen yet, unless nothing is known at all,
/// and then go one at a time, as to what is doubtful.
bool Connector::is_ruled_out(const Attempts& attempts, const UpstreamRoute& route, const std::string& address) {
    if (!roles_ || attempts.wanted() == TargetSessionAttrs::any) return false;
    const std::string& upstream = route.settings.name;
    const HostRoles::Known known = roles_->of(upstream, address);
    const Fit fit = likely_fit(attempts.wanted(), known.role, std::nullopt);
    const bool last = login_ && login_->looks == HostRoles::Looks::last;
    const bool may_be_lost = login_ && login_->looks != HostRoles::Looks::first;
    const bool is_new = known.seen == std::chrono::system_clock::time_point{};
    if (fit == Fit::yes && !(last && known.doubtful)) return false;
    if (fit == Fit::unknown && !(may_be_lost && is_new && !roles_->addresses(upstream).empty())) return false;
    if (!login_ || login_->looks == HostRoles::Looks::never) return true;
    const auto since = last && fit == Fit::no ? others_look_within(route.settings) : std::chrono::milliseconds(0);
    auto look = roles_->look(upstream, address, login_->source, Clock::now(), since);
    if (!look) return true;
    looks_.push_back(std::move(*look));
    return false;
}

/// The lower, the earlier it is tried.
unsigned Connector::rank(const Attempts& attempts, const UpstreamRoute& route, const std::string& key) {
    enum : unsigned { fits, doubtful, unknown, unfit, last };
    if (outages_.tried_last(key, Clock::now())) return last;
    switch (likely_fit_of(attempts, route, key)) {
        case Fit::yes:
            if (!roles_ || attempts.wanted() == TargetSessionAttrs::any) return fits;
            return roles_->of(route.settings.name, key).doubtful ? doubtful : fits;
        case Fit::unknown: return unknown;
        case Fit::no: break;
    }
    return unfit;
}

Fit Connector::likely_fit_of(const Attempts& attempts, const UpstreamRoute& route, const std::string& key) const {
    if (!roles_ || attempts.wanted() == TargetSessionAttrs::any) return Fit::yes;
    const std::string& upstream = route.settings.name;
    const auto read_only = login_ ? roles_->read_only(upstream, key, *login_, Clock::now()) : std::nullopt;
    return likely_fit(attempts.wanted(), roles_->of(upstream, key).role, read_only);
}

/// Remembers it where that is to be, and reports it. A host is remembered when its last address has
/// failed.
void Connector::failed(const Attempts& attempts, const UpstreamRoute& route, AttemptFailure failure,
                       const Report& report) {
    const bool unreachable = failure.kind == Kind::unreachable && !failure.is_ours;
    const std::string host = config::to_string(host_of(attempts, route));
    Outages::Failure outage{.key = failure.address,
                            .upstream = route.settings.name,
                            .host = host,
                            .error = failure.error,
                            .seen = failure.in_login ? Outages::Seen::logging_in : Outages::Seen::connecting};
    const bool refused = failure.kind != Kind::unreachable;
    const auto now = Clock::now();
    if (unreachable) outages_.failed(outage, now);
    if (failure.kind != Kind::unreachable) {
        Outages::Refusal refusal{.key = outage.key, .upstream = outage.upstream, .host = host, .error = failure.error};
        if (failure.verify) {
            refusal.error = "certificate refused: " + failure.verify->reason;
            refusal.verify_error = failure.verify->reason;
            refusal.leaf = std::make_shared<const tls::CertificateFacts>(failure.verify->leaf);
        }
        outages_.refused(std::move(refusal));
    }
    report(std::move(failure));
    // The next host may serve everybody for months: that this one does not must be told.
    if (refused && attempts.next() == Attempts::Next::resolve)
        spdlog::log(often("passed over", route.settings.name), spdlog::level::warn,
                    "upstream \"{}\": {} was reached, and passed over for the next host: {}", route.settings.name,
                    outage.key, outage.error);
    const bool last = attempts.next() == Attempts::Next::resolve || attempts.next() == Attempts::Next::give_up;
    if (!unreachable || !last) return;
    const std::string address = std::exchange(outage.key, host);
    turn_.unanswered(address + ": " + outage.error);
    outages_.failed(std::move(outage), now);
}

}  // namespace proxy
