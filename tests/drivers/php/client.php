<?php
// Logs in with PHP's pgsql functions, or with PDO: php client.php pgsql|pdo. What a client program is: ../README.md. Both are on libpq, whose
// parameters they get as one text.

const TIMEOUT = 60;
const NAMES = ['host', 'port', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding'];

ini_set('display_errors', 'stderr');
$drivers = ['pgsql' => 'logInWithFunctions', 'pdo' => 'logInWithPdo'];
$logIn = $drivers[$argv[1]];
$name = $argv[1] === 'pdo' ? 'PDO pgsql' : 'PHP pgsql';
say(['driver' => $name, 'version' => PHP_VERSION, 'detail' => 'libpq ' . PGSQL_LIBPQ_VERSION]);
while (($line = fgets(STDIN)) !== false) {
    $request = json_decode($line, true);
    say([...['id' => $request['id'], 'ok' => false, 'sqlstate' => null, 'error' => null], ...attempt($request, $logIn)]);
}

function attempt(array $request, callable $logIn): array
{
    try {
        $result = $logIn($request);
        return $result === "{$request['user']}:42" ? ['ok' => true] : ['error' => "the query gave '$result'"];
    } catch (Exception $error) {
        return ['error' => trim($error->getMessage())];
    }
}

function logInWithFunctions(array $request): string
{
    $own = ['user' => $request['user'], 'password' => $request['password'], 'connect_timeout' => TIMEOUT];
    $connection = withErrors(fn () => pg_connect(conninfo($request, ' ', $own), PGSQL_CONNECT_FORCE_NEW));
    try {
        return pg_fetch_result(pg_query_params($connection, "SELECT current_user || ':' || $1", ['42']), 0, 0);
    } finally {
        pg_close($connection);
    }
}

// What it says of a failed connection has SQLSTATE 08006, whatever the server said: so there is none to report.
function logInWithPdo(array $request): string
{
    $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => TIMEOUT];
    $connection = new PDO('pgsql:' . conninfo($request, ';', []), $request['user'], $request['password'], $options);
    $statement = $connection->prepare("SELECT current_user || ':' || CAST(? AS text)");
    $statement->execute(['42']);
    return $statement->fetchColumn(); // the connection is closed with its last variable
}

function conninfo(array $request, string $separator, array $own): string
{
    $wanted = ['gssencmode' => 'disable', ...$own, ...array_intersect_key($request, array_flip(NAMES))];
    if (($request['sslnegotiation'] ?? '') === 'direct') {
        if ((int) PGSQL_LIBPQ_VERSION < 17) {
            throw new Exception('not supported by the driver: direct TLS came with libpq 17');
        }
        $wanted['sslnegotiation'] = 'direct';
    }
    $given = array_filter($wanted, fn ($value) => $value !== null);
    return implode($separator, array_map(fn ($name, $value) => "$name=$value", array_keys($given), $given));
}

// The functions tell their errors as warnings.
function withErrors(callable $action): mixed
{
    set_error_handler(fn ($_, $text) => throw new Exception($text));
    try {
        return $action();
    } finally {
        restore_error_handler();
    }
}

function say(array $object): void
{
    echo json_encode($object), "\n";
}
