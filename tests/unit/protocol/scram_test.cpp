#include "protocol/scram.hpp"

#include "protocol/base64.hpp"
#include "support/catch.hpp"
#include "tls/scram_crypto.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::base64_decode;
using protocol::base64_encode;
using protocol::Buffer;
using protocol::Fault;
using protocol::parse_scram_secret;
using protocol::ScramClient;
using protocol::ScramCrypto;
using protocol::ScramKey;
using protocol::ScramKeys;
using protocol::ScramSalt;
using protocol::ScramSecret;
using protocol::ScramServer;

const std::string plain = "SCRAM-SHA-256";
const std::string plus = "SCRAM-SHA-256-PLUS";

Buffer bytes(std::string_view text) { return Buffer(text.begin(), text.end()); }

Buffer decoded(std::string_view text) {
    const auto result = base64_decode(text);
    REQUIRE(result);
    return *result;
}

ScramCrypto with_nonce(std::string (*nonce)()) {
    ScramCrypto crypto = tls::scram_crypto();
    crypto.nonce = nonce;
    return crypto;
}

/// One login that others have made: what each side said, and with which nonces.
struct Exchange {
    std::string mechanism;
    std::string client_first, server_first, client_final, server_final;
    std::string (*client_nonce)();
    std::string (*server_nonce)();
    std::string salt;
    std::string end_point;  ///< SHA-256 of the certificate, in base64
};

const std::string password = "pencil";

/// RFC 7677, section 3. The client says its name, which ours does not.
const Exchange rfc7677{
    .mechanism = plain,
    .client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    .server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    .client_final =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    .server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    .client_nonce = nullptr,
    .server_nonce = [] { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"s; },
    .salt = "W22ZaJ0SNY7soEsUEjb6gQ==",
    .end_point = {},
};

// Recorded between psql 15.20 and PostgreSQL 15.20 of Debian 12, by a relay of thirty lines between
// the two that printed what passed: user ada, password "pencil", pg_hba.conf "scram-sha-256". For
// -PLUS the relay spoke TLS on both sides, with the server's own certificate and key, so that both
// saw the same end point: openssl x509 -outform DER | sha256sum.
const std::string rolpassword =
    "SCRAM-SHA-256$4096:3KcR3aCNreL2yB+pEjuzZw==$bwK7vuk3h2dchyAvgUXbcbzoTfnBQUnAPe5UOTxpV9w=:"
    "YeohOPfu0F87ZZuob64ZghOyjOh2GHg1wGzUlhN5boE=";

const Exchange postgres{
    .mechanism = plain,
    .client_first = "n,,n=,r=eHYIttvD5iH53Vi+eqYcQnLR",
    .server_first = "r=eHYIttvD5iH53Vi+eqYcQnLRYrTIQ50WReu427cbriBNjtCU,s=3KcR3aCNreL2yB+pEjuzZw==,i=4096",
    .client_final =
        "c=biws,r=eHYIttvD5iH53Vi+eqYcQnLRYrTIQ50WReu427cbriBNjtCU,p=1WV+3UkCE2jzOvf6eEd4YHoGPblC2WK9H3VDXD7obRg=",
    .server_final = "v=ZTGKqe+gMJfQb1/2UdP36cdTN2J7WVHcPgVgk+eotqk=",
    .client_nonce = [] { return "eHYIttvD5iH53Vi+eqYcQnLR"s; },
    .server_nonce = [] { return "YrTIQ50WReu427cbriBNjtCU"s; },
    .salt = "3KcR3aCNreL2yB+pEjuzZw==",
    .end_point = {},
};

const Exchange postgres_plus{
    .mechanism = plus,
    .client_first = "p=tls-server-end-point,,n=,r=uL3kJTrR9JyDtvaOzYRscTgY",
    .server_first = "r=uL3kJTrR9JyDtvaOzYRscTgY9cN9/tcVvMIqxR4qfQQhVyRT,s=3KcR3aCNreL2yB+pEjuzZw==,i=4096",
    .client_final =
        "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsJ4jO8/pq7iTBP2ltMxZjaJuV2ifo6M0bLaCmw5Vw/4I=,"
        "r=uL3kJTrR9JyDtvaOzYRscTgY9cN9/tcVvMIqxR4qfQQhVyRT,p=WW2iPymVlb0AH/s06BeTl2jfnmVRW0ev+qJehJCM1Yo=",
    .server_final = "v=3+kTri6ouQiME6gI34/yEqzVu1bDFqzc6lM1zQj6+P8=",
    .client_nonce = [] { return "uL3kJTrR9JyDtvaOzYRscTgY"s; },
    .server_nonce = [] { return "9cN9/tcVvMIqxR4qfQQhVyRT"s; },
    .salt = "3KcR3aCNreL2yB+pEjuzZw==",
    .end_point = "J4jO8/pq7iTBP2ltMxZjaJuV2ifo6M0bLaCmw5Vw/4I=",
};

ScramSalt salt_of(const Exchange& exchange) { return {.salt = decoded(exchange.salt), .iterations = 4096}; }

ScramKeys keys_of(std::string_view secret, const ScramSalt& salt) {
    return protocol::scram_keys(tls::scram_crypto(), tls::salted_password(as_bytes(secret), salt));
}

void is_said_by_our_client(const Exchange& exchange) {
    ScramClient client(with_nonce(exchange.client_nonce), decoded(exchange.end_point));
    CHECK(client.mechanism() == exchange.mechanism);
    CHECK(client.first_message() == exchange.client_first);
    ScramSalt salt;
    REQUIRE(client.server_first(exchange.server_first, salt) == Fault::none);
    CHECK(salt == salt_of(exchange));
    CHECK(client.final_message(keys_of(password, salt)) == exchange.client_final);
    CHECK(client.server_final(exchange.server_final));
}

void is_said_by_our_server(const Exchange& exchange) {
    ScramServer server(with_nonce(exchange.server_nonce), decoded(exchange.end_point), salt_of(exchange));
    char flag = 0;
    std::string reply;
    REQUIRE(server.client_first(exchange.mechanism, exchange.client_first, flag, reply) == Fault::none);
    CHECK(flag == exchange.client_first[0]);
    CHECK(reply == exchange.server_first);
    REQUIRE(server.client_final(exchange.client_final) == Fault::none);
    const ScramKeys keys = keys_of(password, server.salt());
    const auto proved = server.proves(tls::scram_crypto().sha256(keys.client_key));
    REQUIRE(proved);
    CHECK(*proved == keys.client_key);
    CHECK(server.final_message(keys.server_key) == exchange.server_final);
}

/// A secret of parts, each of which a test may break.
struct Parts {
    std::string scheme = "SCRAM-SHA-256";
    std::string iterations = "4096";
    std::string salt = "3KcR3aCNreL2yB+pEjuzZw==";
    std::string stored_key = "bwK7vuk3h2dchyAvgUXbcbzoTfnBQUnAPe5UOTxpV9w=";
    std::string server_key = "YeohOPfu0F87ZZuob64ZghOyjOh2GHg1wGzUlhN5boE=";

    std::string text() const { return scheme + "$" + iterations + ":" + salt + "$" + stored_key + ":" + server_key; }
};

/// What our client makes of a server's first message.
Fault answer(const std::string& server_first, ScramSalt* salt = nullptr) {
    ScramClient client(with_nonce([] { return "abc"s; }), {});
    ScramSalt ignored;
    return client.server_first(server_first, salt ? *salt : ignored);
}

/// What our server makes of a client's first message.
struct FirstVerdict {
    Fault fault = Fault::none;
    char flag = 0;
    std::string reply;
};

FirstVerdict first(const std::string& mechanism, const std::string& message, bool offers_plus = false) {
    ScramServer server(with_nonce([] { return "XYZ"s; }), offers_plus ? bytes("hash") : Buffer(),
                       {.salt = bytes("salt")});
    FirstVerdict verdict;
    verdict.fault = server.client_first(mechanism, message, verdict.flag, verdict.reply);
    return verdict;
}

/// The proof as RFC 5802, section 3, defines it.
std::string proof(const ScramKeys& keys, const std::string& auth_message) {
    const ScramCrypto& crypto = tls::scram_crypto();
    ScramKey proof = crypto.hmac_sha256(crypto.sha256(keys.client_key), as_bytes(auth_message));
    for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<std::uint8_t>(proof[i] ^ keys.client_key[i]);
    return base64_encode(proof);
}

/// A server that has got as far as its first message; the client's nonce is "abc", its own "XYZ".
class Challenged {
   public:
    explicit Challenged(const std::string& gs2_header = "n,,", const std::string& end_point = {},
                        const std::string& extensions = {})
        : first_bare("n=,r=abc" + extensions), server(with_nonce([] { return "XYZ"s; }), bytes(end_point), cheap()) {
        char flag = 0;
        REQUIRE(server.client_first(gs2_header.starts_with('p') ? plus : plain, gs2_header + first_bare, flag,
                                    server_first) == Fault::none);
    }

    static ScramSalt cheap() { return {.salt = bytes("salt"), .iterations = 1}; }
    static ScramKeys keys(const std::string& secret = password) { return keys_of(secret, cheap()); }
    static ScramKey stored_key(const std::string& secret = password) {
        return tls::scram_crypto().sha256(keys(secret).client_key);
    }

    /// The last message of a client that knows `secret`.
    std::string proven(const std::string& without_proof, const std::string& secret = password) const {
        return without_proof + ",p=" + proof(keys(secret), first_bare + "," + server_first + "," + without_proof);
    }

    std::string first_bare;
    std::string server_first;
    ScramServer server;
};

const std::string end_point_gs2 = "p=tls-server-end-point,,";

std::string bound(const std::string& gs2_header, const std::string& end_point) {
    return "c=" + base64_encode(as_bytes(gs2_header + end_point)) + ",r=abcXYZ";
}

const std::string unbound = "c=biws,r=abcXYZ";

}  // namespace

// --- What others have said, byte by byte

TEST_CASE("scram: the exchange of RFC 7677 as the server") { is_said_by_our_server(rfc7677); }

TEST_CASE("scram: an exchange between psql and PostgreSQL as either of them") {
    is_said_by_our_client(postgres);
    is_said_by_our_server(postgres);
}

TEST_CASE("scram: an exchange with channel binding between psql and PostgreSQL as either of them") {
    is_said_by_our_client(postgres_plus);
    is_said_by_our_server(postgres_plus);
}

TEST_CASE("scram: the secret that PostgreSQL made of a password is the one that we make") {
    const auto secret = parse_scram_secret(rolpassword);
    REQUIRE(secret);
    const ScramSecret ours = protocol::scram_secret(
        tls::scram_crypto(), tls::salted_password(as_bytes(password), secret->salt), secret->salt);
    CHECK(ours.salt == secret->salt);
    CHECK(ours.stored_key == secret->stored_key);
    CHECK(ours.server_key == secret->server_key);
}

TEST_CASE("scram: our client and our server understand each other") {
    const std::string end_point = GENERATE("", "a certificate's hash");
    CAPTURE(end_point);
    const ScramKeys keys = Challenged::keys();
    ScramClient client(tls::scram_crypto(), bytes(end_point));
    ScramServer server(tls::scram_crypto(), bytes(end_point), Challenged::cheap());
    CHECK(server.offers_plus() == !end_point.empty());
    char flag = 0;
    std::string challenge;
    REQUIRE(server.client_first(client.mechanism(), client.first_message(), flag, challenge) == Fault::none);
    CHECK(flag == (end_point.empty() ? 'n' : 'p'));
    ScramSalt salt;
    REQUIRE(client.server_first(challenge, salt) == Fault::none);
    CHECK(salt == Challenged::cheap());
    REQUIRE(server.client_final(client.final_message(keys)) == Fault::none);
    CHECK(server.proves(Challenged::stored_key()) == keys.client_key);
    CHECK(client.server_final(server.final_message(keys.server_key)));
}

TEST_CASE(
    "scram: a client that could bind the channel and was not offered to says so, and a server notices what was taken "
    "away") {
    const ScramKeys keys = Challenged::keys();
    ScramClient client(tls::scram_crypto(), bytes("a certificate's hash"), false);
    CHECK(client.mechanism() == plain);
    CHECK(client.first_message().starts_with("y,,n=,r="));
    char flag = 0;
    std::string challenge;
    ScramServer without(tls::scram_crypto(), {}, Challenged::cheap());
    REQUIRE(without.client_first(client.mechanism(), client.first_message(), flag, challenge) == Fault::none);
    ScramSalt salt;
    REQUIRE(client.server_first(challenge, salt) == Fault::none);
    const std::string last = client.final_message(keys);
    CHECK(last.starts_with("c=eSws,r="));
    REQUIRE(without.client_final(last) == Fault::none);
    CHECK(without.proves(Challenged::stored_key()) == keys.client_key);
    CHECK(client.server_final(without.final_message(keys.server_key)));

    ScramServer with(tls::scram_crypto(), bytes("a certificate's hash"), Challenged::cheap());
    CHECK(with.client_first(client.mechanism(), client.first_message(), flag, challenge) ==
          Fault::channel_binding_downgrade);
}

TEST_CASE("scram: a client without a certificate to bind to does not pretend") {
    for (const bool offered : {false, true}) {
        const ScramClient client(tls::scram_crypto(), {}, offered);
        CHECK(client.mechanism() == plain);
        CHECK(client.first_message().starts_with("n,,"));
    }
}

// --- Secrets

TEST_CASE("scram: a secret is read") {
    const auto secret = parse_scram_secret(rolpassword);
    REQUIRE(secret);
    CHECK(secret->salt.iterations == 4096);
    CHECK(secret->salt.salt == decoded("3KcR3aCNreL2yB+pEjuzZw=="));
    CHECK(base64_encode(secret->stored_key) == Parts().stored_key);
    CHECK(base64_encode(secret->server_key) == Parts().server_key);
}

TEST_CASE("scram: a secret of another form is refused") {
    const std::string good = rolpassword;
    for (const std::string& text :
         {""s, "SCRAM-SHA-256"s, "SCRAM-SHA-256$"s, "SCRAM-SHA-256$4096"s, "SCRAM-SHA-256$4096:"s, "pencil"s,
          "md5"s + std::string(32, '0'), " " + good, good + " ", good + "\n", good + ":", good + "$", good + "\0"s,
          good.substr(0, good.rfind(':')), good.substr(1)}) {
        CAPTURE(text);
        CHECK_FALSE(parse_scram_secret(text));
    }
}

TEST_CASE("scram: every separator of a secret counts") {
    for (std::size_t at = 0; at < rolpassword.size(); ++at) {
        if (rolpassword[at] != '$' && rolpassword[at] != ':') continue;
        for (const std::string other : {"", ",", "=", "$", ":", "$$", "::"}) {
            if (other == rolpassword.substr(at, 1)) continue;
            std::string broken = rolpassword;
            broken.replace(at, 1, other);
            CAPTURE(broken);
            CHECK_FALSE(parse_scram_secret(broken));
        }
    }
}

TEST_CASE("scram: a secret for another mechanism is refused") {
    for (const std::string scheme : {"", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256", "SCRAM-SHA-512"}) {
        CHECK_FALSE(parse_scram_secret(Parts{.scheme = scheme}.text()));
    }
}

TEST_CASE("scram: the iterations of a secret are a number that we would compute") {
    CHECK(protocol::max_scram_iterations == 600'000);
    for (const std::string good : {"1", "4096", "600000"}) {
        const auto secret = parse_scram_secret(Parts{.iterations = good}.text());
        REQUIRE(secret);
        CHECK(std::to_string(secret->salt.iterations) == good);
    }
    for (const std::string bad :
         {"", "0", "000", "600001", "4294967295", "4294967296", "4294971392", "99999999999999999999", "+4096", "-1",
          "-4096", " 4096", "4096 ", "4096x", "0x1000", "4e3", "4096.0"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_scram_secret(Parts{.iterations = bad}.text()));
    }
}

TEST_CASE("scram: leading zeros of the iterations mean nothing, as in PostgreSQL") {
    const auto secret = parse_scram_secret(Parts{.iterations = "0004096"}.text());
    REQUIRE(secret);
    CHECK(secret->salt.iterations == 4096);
}

TEST_CASE("scram: the salt of a secret is base64 of something") {
    CHECK(parse_scram_secret(Parts{.salt = "AA=="}.text()));
    for (const std::string bad : {"", "A", "AAA", "AB==", "!!!!", "AA== ", "3KcR3aCNreL2yB+pEjuzZw"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_scram_secret(Parts{.salt = bad}.text()));
    }
    CHECK(parse_scram_secret(Parts{.salt = base64_encode(Buffer(1024))}.text()));
    CHECK_FALSE(parse_scram_secret(Parts{.salt = base64_encode(Buffer(1025))}.text()));
}

TEST_CASE("scram: the keys of a secret are 32 bytes each") {
    for (const std::string& bad : {""s, "x"s, base64_encode(Buffer(31)), base64_encode(Buffer(33)),
                                   base64_encode(Buffer(64)), std::string(44, 'A'), std::string(43, '!') + "="}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_scram_secret(Parts{.stored_key = bad}.text()));
        CHECK_FALSE(parse_scram_secret(Parts{.server_key = bad}.text()));
    }
    CHECK(parse_scram_secret(Parts{.stored_key = base64_encode(Buffer(32))}.text()));
}

// --- The client's side, against a server that may say anything

TEST_CASE("scram: a server's first message is read, whatever follows it") {
    for (const std::string extensions : {"", ",x=1", ",x=1,y=2", ","}) {
        ScramSalt salt;
        CHECK(answer("r=abcX,s=c2FsdA==,i=4096" + extensions, &salt) == Fault::none);
        CHECK(salt == ScramSalt{.salt = bytes("salt"), .iterations = 4096});
    }
}

TEST_CASE("scram: a server that adds nothing to the nonce, or has another, is refused") {
    for (const std::string nonce : {"abc", "ab", "", "abX", "Xabc", "ABCX", "bcX", " abcX"}) {
        CAPTURE(nonce);
        CHECK(answer("r=" + nonce + ",s=c2FsdA==,i=4096") == Fault::scram_message);
    }
}

TEST_CASE("scram: a server's first message has nonce, salt and iterations in this order, and nothing before them") {
    for (const std::string message : {"",
                                      "r",
                                      "r=",
                                      "r=abcX",
                                      "r=abcX,",
                                      "r=abcX,s=c2FsdA==",
                                      "r=abcX,s=c2FsdA==,",
                                      "r=abcX,i=4096",
                                      "s=c2FsdA==,i=4096",
                                      "s=c2FsdA==,r=abcX,i=4096",
                                      "r=abcX,i=4096,s=c2FsdA==",
                                      "i=4096,r=abcX,s=c2FsdA==",
                                      "m=1,r=abcX,s=c2FsdA==,i=4096",
                                      "r=abcX,m=1,s=c2FsdA==,i=4096",
                                      "x=1,r=abcX,s=c2FsdA==,i=4096",
                                      "R=abcX,s=c2FsdA==,i=4096",
                                      "r:abcX,s=c2FsdA==,i=4096",
                                      "r=abcX;s=c2FsdA==;i=4096",
                                      "r=abcX,,s=c2FsdA==,i=4096",
                                      "e=other-error",
                                      "v=" /* and nothing else */}) {
        CAPTURE(message);
        CHECK(answer(message) == Fault::scram_message);
    }
}

TEST_CASE("scram: a server's salt is base64 of up to 1024 bytes") {
    for (const std::string& salt : {""s, "c2FsdA"s, "c2FsdB=="s, "!"s, "c2FsdA== "s, base64_encode(Buffer(1025))}) {
        CHECK(answer("r=abcX,s=" + salt + ",i=4096") == Fault::scram_message);
    }
    CHECK(answer("r=abcX,s=" + base64_encode(Buffer(1024)) + ",i=4096") == Fault::none);
}

TEST_CASE("scram: a server that asks for too many iterations is told apart from one that talks nonsense") {
    CHECK(answer("r=abcX,s=c2FsdA==,i=600000") == Fault::none);
    for (const std::string iterations : {"600001", "2147483648", "4294967295"}) {
        CHECK(answer("r=abcX,s=c2FsdA==,i=" + iterations) == Fault::scram_iterations);
    }
    for (const std::string iterations :
         {"", "0", "-1", "-4096", "+4096", " 4096", "4096 ", "4096x", "4294967296", "99999999999999999999"}) {
        CAPTURE(iterations);
        CHECK(answer("r=abcX,s=c2FsdA==,i=" + iterations) == Fault::scram_message);
    }
}

TEST_CASE("scram: nothing is learnt from a first message that is refused") {
    for (const std::string message :
         {"r=abcX,s=c2FsdA==,i=600001", "r=abc,s=c2FsdA==,i=4096", "r=abcX,s=c2FsdA==,i=x"}) {
        ScramSalt salt{.salt = bytes("before"), .iterations = 7};
        CHECK(answer(message, &salt) != Fault::none);
        CHECK(salt == ScramSalt{.salt = bytes("before"), .iterations = 7});
    }
}

TEST_CASE("scram: a server challenges once") {
    ScramClient client(with_nonce([] { return "abc"s; }), {});
    ScramSalt salt;
    CHECK(client.server_first("r=abcX,s=c2FsdA==,i=4096", salt) == Fault::none);
    CHECK(client.server_first("r=abcX,s=c2FsdA==,i=4096", salt) == Fault::scram_message);
    CHECK(client.server_first("r=abcY,s=c2FsdA==,i=1", salt) == Fault::scram_message);
}

TEST_CASE("scram: before our proof no server has proved anything") {
    const std::string zeros = "v=" + base64_encode(ScramKey());
    ScramClient client(with_nonce([] { return "abc"s; }), {});
    CHECK_FALSE(client.server_final(zeros));
    CHECK_FALSE(client.server_final(""));
    CHECK_FALSE(client.server_final("v="));
    ScramSalt salt;
    REQUIRE(client.server_first("r=abcX,s=c2FsdA==,i=1", salt) == Fault::none);
    CHECK_FALSE(client.server_final(zeros));
    // The signature that an impostor without keys would make.
    const ScramKey signature =
        tls::scram_crypto().hmac_sha256(ScramKey(), as_bytes("n=,r=abc,r=abcX,s=c2FsdA==,i=1,c=biws,r=abcX"));
    CHECK_FALSE(client.server_final("v=" + base64_encode(signature)));
}

TEST_CASE("scram: only the server's signature, and nothing beside it, proves the server") {
    ScramClient client(with_nonce(postgres.client_nonce), {});
    ScramSalt salt;
    REQUIRE(client.server_first(postgres.server_first, salt) == Fault::none);
    client.final_message(keys_of(password, salt));
    const std::string good = postgres.server_final;
    REQUIRE(client.server_final(good));
    const Buffer signature = decoded(good.substr(2));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        Buffer wrong = signature;
        wrong[i] ^= 1;
        CHECK_FALSE(client.server_final("v=" + base64_encode(wrong)));
    }
    for (const std::string& message :
         {""s, "v="s, "v"s, good + ",x=1", good + " ", good + "\0"s, " " + good, "x=1," + good, good.substr(2),
          good.substr(0, good.size() - 1), "V" + good.substr(1), "e=other-error"s, "e=invalid-proof"s,
          "v=" + base64_encode(protocol::Bytes(signature).first(31)), postgres_plus.server_final,
          "v=" + base64_encode(ScramKey())}) {
        CAPTURE(message);
        CHECK_FALSE(client.server_final(message));
    }
}

TEST_CASE("scram: a server that knows another password does not prove itself") {
    ScramClient client(with_nonce([] { return "abc"s; }), {});
    Challenged impostor;
    ScramSalt salt;
    REQUIRE(client.server_first(impostor.server_first, salt) == Fault::none);
    REQUIRE(impostor.server.client_final(client.final_message(Challenged::keys())) == Fault::none);
    CHECK_FALSE(client.server_final(impostor.server.final_message(Challenged::keys("eraser").server_key)));
    CHECK(client.server_final(impostor.server.final_message(Challenged::keys().server_key)));
}

TEST_CASE("scram: the proof is for this password, this challenge and this end point alone") {
    const auto final_message = [](const std::string& secret, const std::string& server_first,
                                  const std::string& end_point) {
        ScramClient client(with_nonce([] { return "abc"s; }), bytes(end_point));
        ScramSalt salt;
        REQUIRE(client.server_first(server_first, salt) == Fault::none);
        const std::string message = client.final_message(Challenged::keys(secret));
        return message.substr(message.rfind(",p="));
    };
    const std::string server_first = "r=abcX,s=c2FsdA==,i=1";
    const std::string ours = final_message(password, server_first, "");
    CHECK(ours == final_message(password, server_first, ""));
    CHECK(ours != final_message("eraser", server_first, ""));
    CHECK(ours != final_message(password, "r=abcY,s=c2FsdA==,i=1", ""));
    CHECK(ours != final_message(password, "r=abcX,s=c2FsdA==,i=1,x=1", ""));
    CHECK(ours != final_message(password, server_first, "end point"));
    CHECK(final_message(password, server_first, "other") != final_message(password, server_first, "end point"));
}

// --- The server's side, against a client that may say anything

TEST_CASE("scram: which mechanism goes with which gs2 flag, and with our offer") {
    struct Row {
        bool offers_plus;
        std::string mechanism;
        std::string binding;
        Fault fault;
        char flag;
    };
    const std::string end_point = "p=tls-server-end-point";
    const std::vector<Row> rows = {
        {false, plain, "n", Fault::none, 'n'},
        {false, plain, "y", Fault::none, 'y'},
        {false, plain, end_point, Fault::sasl_message, 'p'},
        {false, plain, "p=tls-unique", Fault::sasl_message, 0},
        {false, plus, "n", Fault::sasl_mechanism, 0},
        {false, plus, "y", Fault::sasl_mechanism, 0},
        {false, plus, end_point, Fault::sasl_mechanism, 0},
        {true, plain, "n", Fault::none, 'n'},
        {true, plain, "y", Fault::channel_binding_downgrade, 'y'},
        {true, plain, end_point, Fault::sasl_message, 'p'},
        {true, plus, "n", Fault::sasl_message, 'n'},
        {true, plus, "y", Fault::sasl_message, 'y'},
        {true, plus, end_point, Fault::none, 'p'},
        {true, plus, "p=tls-unique", Fault::sasl_message, 0},
        {true, plus, "p=tls-exporter", Fault::sasl_message, 0},
        {true, plus, "p=tls-server-end-point2", Fault::sasl_message, 0},
        {true, plus, "p=TLS-SERVER-END-POINT", Fault::sasl_message, 0},
        {true, plus, "p=", Fault::sasl_message, 0},
        {true, plus, "p", Fault::sasl_message, 0},
        {true, "SCRAM-SHA-1", "n", Fault::sasl_mechanism, 0},
        {true, "SCRAM-SHA-1-PLUS", end_point, Fault::sasl_mechanism, 0},
        {true, "scram-sha-256", "n", Fault::sasl_mechanism, 0},
        {true, "SCRAM-SHA-256 ", "n", Fault::sasl_mechanism, 0},
        {true, "", "n", Fault::sasl_mechanism, 0},
    };
    for (const Row& row : rows) {
        CAPTURE(row.offers_plus, row.mechanism, row.binding);
        const FirstVerdict verdict = first(row.mechanism, row.binding + ",,n=,r=abc", row.offers_plus);
        CHECK(verdict.fault == row.fault);
        CHECK(verdict.flag == row.flag);
        CHECK(verdict.reply == (row.fault == Fault::none ? "r=abcXYZ,s=c2FsdA==,i=4096" : ""));
    }
}

TEST_CASE("scram: to log in as another than the user of the StartupMessage is refused") {
    for (const std::string authorization : {"a=root", "a=", "x", "a=ada", " "}) {
        CHECK(first(plain, "n," + authorization + ",n=,r=abc").fault == Fault::sasl_message);
    }
}

TEST_CASE("scram: an extension that we would have to understand is refused") {
    CHECK(first(plain, "n,,m=1,n=,r=abc").fault == Fault::sasl_message);
    CHECK(first(plain, "n,,n=,m=1,r=abc").fault == Fault::sasl_message);
}

TEST_CASE("scram: a client's first message that cannot be read is refused") {
    for (const std::string& message : {""s,
                                       "n"s,
                                       ","s,
                                       ",,"s,
                                       "n,"s,
                                       "n,,"s,
                                       ",,n=,r=abc"s,
                                       "n,n=,r=abc"s,
                                       "n=,r=abc"s,
                                       "n,,n=,"s,
                                       "n,,n="s,
                                       "n,,n"s,
                                       "n,,r=abc"s,
                                       "n,,r=abc,n="s,
                                       "n,,n=,x=1,r=abc"s,
                                       "n,,n=,R=abc"s,
                                       "n,,n=;r=abc"s,
                                       "N,,n=,r=abc"s,
                                       "nn,,n=,r=abc"s,
                                       " n,,n=,r=abc"s,
                                       "n ,,n=,r=abc"s,
                                       "x,,n=,r=abc"s,
                                       "n\0,,n=,r=abc"s,
                                       "\0,,n=,r=abc"s}) {
        CAPTURE(message);
        CHECK(first(plain, message).fault == Fault::sasl_message);
        CHECK(first(plain, message).reply.empty());
    }
}

TEST_CASE("scram: a client's nonce is printable, and there is one") {
    for (const std::string& nonce :
         {""s, " "s, "a b"s, "abc "s, "a\0c"s, "a\tc"s, "abc\n"s, "a\x7f"s, "\xc3\xa4"s, "a\x80"s, "a\xff"s}) {
        CAPTURE(nonce);
        CHECK(first(plain, "n,,n=,r=" + nonce).fault == Fault::sasl_message);
    }
    CHECK(first(plain, "n,,n=,r=,abc").fault == Fault::sasl_message);
    CHECK(first(plain, "n,,n=,r=!~=+/").reply.starts_with("r=!~=+/XYZ,"));
}

TEST_CASE("scram: a comma ends the nonce, and what follows is an extension") {
    CHECK(first(plain, "n,,n=,r=ab,c=d").reply.starts_with("r=abXYZ,"));
}

TEST_CASE("scram: the name in the first message is of no account") {
    for (const std::string name : {"", "ada", "=2Croot", "*"}) {
        CHECK(first(plain, "n,,n=" + name + ",r=abc").fault == Fault::none);
    }
}

TEST_CASE("scram: extensions after the nonce are accepted as PostgreSQL does, and are part of what is signed") {
    Challenged signed_with("n,,", {}, ",x=1,y=2");
    REQUIRE(signed_with.server.client_final(signed_with.proven(unbound)) == Fault::none);
    CHECK(signed_with.server.proves(Challenged::stored_key()));

    const Challenged without;
    REQUIRE(signed_with.server.client_final(without.proven(unbound)) == Fault::none);
    CHECK_FALSE(signed_with.server.proves(Challenged::stored_key()));
}

TEST_CASE("scram: a proof of the right password shows the client's key") {
    Challenged challenged;
    REQUIRE(challenged.server.client_final(challenged.proven(unbound)) == Fault::none);
    CHECK(challenged.server.proves(Challenged::stored_key()) == Challenged::keys().client_key);
}

TEST_CASE("scram: a proof of another password shows nothing") {
    Challenged challenged;
    REQUIRE(challenged.server.client_final(challenged.proven(unbound, "eraser")) == Fault::none);
    CHECK_FALSE(challenged.server.proves(Challenged::stored_key()));
    CHECK(challenged.server.proves(Challenged::stored_key("eraser")));
}

TEST_CASE("scram: a proof with one bit changed proves nothing") {
    Challenged challenged;
    const std::string good = challenged.proven(unbound);
    const std::size_t at = good.rfind(",p=") + 3;
    const Buffer right = decoded(good.substr(at));
    for (std::size_t i = 0; i < right.size(); ++i) {
        Buffer wrong = right;
        wrong[i] ^= 0x80;
        REQUIRE(challenged.server.client_final(good.substr(0, at) + base64_encode(wrong)) == Fault::none);
        CHECK_FALSE(challenged.server.proves(Challenged::stored_key()));
    }
}

TEST_CASE("scram: a proof is good for one challenge") {
    const Challenged earlier;
    const std::string replayed = earlier.proven(unbound);
    ScramServer later(with_nonce([] { return "xyz"s; }), {}, Challenged::cheap());
    char flag = 0;
    std::string reply;
    REQUIRE(later.client_first(plain, "n,,n=,r=abc", flag, reply) == Fault::none);
    CHECK(later.client_final(replayed) == Fault::sasl_message);
}

TEST_CASE("scram: the nonce comes back whole and unchanged") {
    for (const std::string nonce : {"", "abc", "XYZ", "abcXY", "abcXYZ1", "abcxyz", "XYZabc", " abcXYZ", "abcXYZ "}) {
        CAPTURE(nonce);
        Challenged challenged;
        CHECK(challenged.server.client_final(challenged.proven("c=biws,r=" + nonce)) == Fault::sasl_message);
    }
}

TEST_CASE("scram: the gs2 header that is signed is the one that was sent") {
    for (const std::string gs2_header :
         {"y,,", "", "n", "n,", "n,,,", "N,,", "n,a=root,", "p=tls-server-end-point,,"}) {
        CAPTURE(gs2_header);
        Challenged n("n,,");
        CHECK(n.server.client_final(n.proven(bound(gs2_header, ""))) == Fault::sasl_message);
    }
    Challenged y("y,,");
    CHECK(y.server.client_final(y.proven(bound("n,,", ""))) == Fault::sasl_message);
    CHECK(y.server.client_final(y.proven(bound("y,,", ""))) == Fault::none);
    CHECK(y.server.proves(Challenged::stored_key()));
}

TEST_CASE("scram: without channel binding no end point is signed") {
    Challenged challenged("n,,", "our certificate");
    CHECK(challenged.server.client_final(challenged.proven(bound("n,,", "our certificate"))) == Fault::sasl_message);
    CHECK(challenged.server.client_final(challenged.proven(bound("n,,", ""))) == Fault::none);
}

TEST_CASE("scram: only the certificate that we showed binds the channel") {
    Challenged challenged(end_point_gs2, "our certificate");
    for (const std::string other :
         {"another certificate", "", "our certificat", "our certificate!", "Our certificate"}) {
        CAPTURE(other);
        CHECK(challenged.server.client_final(challenged.proven(bound(end_point_gs2, other))) ==
              Fault::channel_binding_failed);
    }
    CHECK(challenged.server.client_final(challenged.proven(bound("n,,", ""))) == Fault::channel_binding_failed);
    CHECK(challenged.server.client_final(challenged.proven(bound("y,,", ""))) == Fault::channel_binding_failed);
    CHECK(challenged.server.client_final(challenged.proven("c=,r=abcXYZ")) == Fault::channel_binding_failed);
    REQUIRE(challenged.server.client_final(challenged.proven(bound(end_point_gs2, "our certificate"))) == Fault::none);
    CHECK(challenged.server.proves(Challenged::stored_key()));
}

TEST_CASE("scram: somebody between who shows another certificate is found out") {
    ScramClient client(with_nonce([] { return "abc"s; }), bytes("the certificate of somebody between"));
    Challenged challenged(end_point_gs2, "our certificate");
    ScramSalt salt;
    REQUIRE(client.server_first(challenged.server_first, salt) == Fault::none);
    CHECK(challenged.server.client_final(client.final_message(Challenged::keys())) == Fault::channel_binding_failed);
}

TEST_CASE("scram: a client's last message that cannot be read is refused") {
    const std::string proof = base64_encode(Buffer(32));
    for (const std::string& message : {""s,
                                       "p="s,
                                       ",p="s,
                                       "c=biws"s,
                                       unbound,
                                       unbound + ",",
                                       unbound + ",p=",
                                       unbound + ",p",
                                       unbound + ",P=" + proof,
                                       unbound + ",p=" + proof + " ",
                                       unbound + ",p=" + proof + ",",
                                       unbound + ",p=" + proof + ",x=1",
                                       unbound + ",p=" + proof + "\0"s,
                                       unbound + ",p=" + proof.substr(1),
                                       unbound + "p=" + proof,
                                       "p=" + proof,
                                       ",p=" + proof,
                                       "r=abcXYZ,p=" + proof,
                                       "c=biws,p=" + proof,
                                       "r=abcXYZ,c=biws,p=" + proof,
                                       "x=1,c=biws,r=abcXYZ,p=" + proof,
                                       "c=biws,x=1,r=abcXYZ,p=" + proof,
                                       "m=1,c=biws,r=abcXYZ,p=" + proof,
                                       "p=" + proof + "," + unbound,
                                       unbound + ",p=" + proof + ",p=" + proof.substr(1)}) {
        CAPTURE(message);
        Challenged challenged;
        CHECK(challenged.server.client_final(message) == Fault::sasl_message);
    }
}

TEST_CASE("scram: a proof of another length is refused") {
    for (const std::size_t size : {0u, 1u, 16u, 31u, 33u, 64u}) {
        CAPTURE(size);
        Challenged challenged;
        CHECK(challenged.server.client_final(unbound + ",p=" + base64_encode(Buffer(size))) == Fault::sasl_message);
    }
}

TEST_CASE("scram: extensions before the proof are accepted as PostgreSQL does, and are part of what is signed") {
    Challenged challenged;
    const std::string good = challenged.proven(unbound + ",x=1,y=2");
    REQUIRE(challenged.server.client_final(good) == Fault::none);
    CHECK(challenged.server.proves(Challenged::stored_key()));

    const std::string unsigned_extension = unbound + ",x=1" + challenged.proven(unbound).substr(unbound.size());
    REQUIRE(challenged.server.client_final(unsigned_extension) == Fault::none);
    CHECK_FALSE(challenged.server.proves(Challenged::stored_key()));
}
