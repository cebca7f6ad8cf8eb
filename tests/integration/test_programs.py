"""PostgreSQL's own tools through the proxy: dump and restore, base backup, logical replication."""

import subprocess

import pytest

from conftest import client_environment
from harness import programs
from harness.waiting import until


@pytest.fixture
def databases(cluster):
    """Two fresh databases, dropped at the end."""
    names = ["dump_source", "dump_target"]
    for name in names:
        cluster.sql(f"DROP DATABASE IF EXISTS {name}")
        cluster.sql(f"CREATE DATABASE {name} OWNER repl_user")
    yield names
    for name in names:
        cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_pg_dump_into_pg_restore(start, pg, cluster, databases, directory, sslmode):
    source, target = databases
    proxy = start()
    cluster.sql("""CREATE TABLE data AS SELECT i AS id, md5(i::text) || md5((i + 1)::text) || repeat('d', i % 500) AS text
                   FROM generate_series(1, 200000) i; ALTER TABLE data ADD PRIMARY KEY (id)""", database=source)
    programs.run(["bash", "-c", f"set -o pipefail; {programs.postgres_bin()}/pg_dump -Fc -Z0 {source} | "
                                f"{programs.postgres_bin()}/pg_restore -d {target} --no-owner"],
                 env=client_environment(proxy, "repl_user", sslmode))
    summary = "SELECT count(*), md5(string_agg(id || text, ',' ORDER BY id)) FROM data"
    assert cluster.sql(summary, database=target) == cluster.sql(summary, database=source)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_pg_basebackup_takes_a_backup_that_verifies(start, pg, directory, sslmode):
    target = directory / "backup"
    proxy = start()
    pg("pg_basebackup", proxy, "-D", target, "-X", "stream", "-c", "fast", "--no-sync", user="repl_user", sslmode=sslmode)
    programs.run([programs.postgres_bin() / "pg_verifybackup", target])
    assert any(event["replication"] for event in proxy.events("connected", 2))


def test_pg_recvlogical_receives_changes(start, pg, cluster, databases, directory):
    database = databases[0]
    cluster.sql("CREATE TABLE changes (text text)", database=database)
    proxy = start()
    environment = client_environment(proxy, "repl_user", "require", database)
    program = programs.postgres_bin() / "pg_recvlogical"
    slot = ["-d", database, "--slot", "through_proxy"]
    programs.run([program, *slot, "--create-slot", "-P", "test_decoding"], env=environment)
    receiver = subprocess.Popen([program, *slot, "--start", "-f", directory / "received", "-F", "0"], env=environment)
    try:
        cluster.sql("INSERT INTO changes VALUES ('through both legs')", database=database)
        until(lambda: (directory / "received").exists() and "through both legs" in (directory / "received").read_text())
        assert proxy.events("connected")[0]["replication"]
    finally:
        receiver.terminate()
        receiver.wait(10)
        until(lambda: not cluster.sql("SELECT 1 FROM pg_replication_slots WHERE active"))
        programs.run([program, *slot, "--drop-slot"], env=environment)


def test_a_subscription_through_the_proxy_replicates(start, cluster, clear_cluster, databases):
    database = databases[0]
    proxy = start()
    for server, name in ((cluster, database), (clear_cluster, "postgres")):
        server.sql("DROP TABLE IF EXISTS shared; CREATE TABLE shared (id int PRIMARY KEY, text text)", database=name)
    cluster.sql("INSERT INTO shared VALUES (1, 'before'); CREATE PUBLICATION all_of_it FOR TABLE shared", database=database)
    clear_cluster.sql(f"""CREATE SUBSCRIPTION through_proxy CONNECTION 'host=127.0.0.1 port={proxy.port} user=repl_user
                          dbname={database} sslmode=require' PUBLICATION all_of_it""")
    try:
        until(lambda: clear_cluster.sql("SELECT 1 FROM shared WHERE id = 1"))
        cluster.sql("INSERT INTO shared VALUES (2, 'after')", database=database)
        until(lambda: clear_cluster.sql("SELECT 1 FROM shared WHERE id = 2"))
    finally:
        clear_cluster.sql("DROP SUBSCRIPTION through_proxy")


def test_psql_copies_files_both_ways(start, pg, directory):
    lines = "".join(f"{i}\t{i * i}\n" for i in range(100_000))
    (directory / "in").write_text(lines)
    script = f"CREATE TEMP TABLE c (a int, b bigint);\n\\copy c FROM '{directory}/in'\n\\copy (SELECT * FROM c ORDER BY a) TO '{directory}/out'\n"
    pg("psql", start(), "-X", "-q", "-v", "ON_ERROR_STOP=1", sslmode="require", input=script)
    assert (directory / "out").read_text() == lines
