"""A PostgreSQL database that several proxies share as their inventory."""

import subprocess

import psycopg2

from harness import programs, secrets
from harness.cluster import Cluster
from harness.waiting import until

PASSWORD = "Secret-fleet/#@-91d3"
ENCODED = "Secret-fleet%2F%23%40-91d3"


class FleetDatabase:
    """A cluster of its own, so that it can be stopped, with a role that owns nothing but its schema."""

    def __init__(self, directory, template):
        self.cluster = Cluster(directory, template, None).start()
        self.cluster.sql(f"CREATE ROLE pgairlock LOGIN PASSWORD '{PASSWORD}' IN ROLE scram_users")
        self.cluster.sql("CREATE DATABASE inventory")
        self.cluster.sql("CREATE SCHEMA pgairlock AUTHORIZATION pgairlock", database="inventory")
        secrets.tell(PASSWORD)
        secrets.tell(ENCODED)

    @property
    def url(self):
        return f"postgresql://pgairlock:{ENCODED}@127.0.0.1:{self.cluster.port}/inventory?sslmode=disable"

    def sql(self, statement):
        return self.cluster.sql(statement, database="inventory")

    def total(self, column="connections", table="clients"):
        """-1: nothing has come yet, not even the tables."""
        if not self.sql("SELECT to_regclass('pgairlock.clients')")[0][0]:
            return -1
        return int(self.sql(f"SELECT coalesce(sum({column}), 0) FROM pgairlock.{table}")[0][0])

    def start_again(self):
        with open(self.cluster.log_file, "ab") as log:
            self.cluster.process = subprocess.Popen(
                [*programs.unprivileged(), str(programs.postgres_bin() / "postgres"), "-D", str(self.cluster.data), "-p", str(self.cluster.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        until(self._answers)

    def _answers(self):
        try:
            self.cluster.admin("inventory").close()
            return True
        except psycopg2.OperationalError:
            return False
