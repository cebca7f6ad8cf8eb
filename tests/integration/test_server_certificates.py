"""What servers show: which authority vouches for it, known by its key; told once, with an inventory and without one."""

import json
import re
import subprocess
from dataclasses import replace

import pytest

from harness.config import configuration
from harness.fake_upstream import accepting, server_context
from harness.http import scrape
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import until
from harness.wire import Client, tls_context
from test_console_sql import rows as console_rows
from test_inventory import log_in, rows, wait_for_total
from test_reload import reload

#: Real authorities have it in all that they issue: without it nobody finds the right one of two that have one name.
KEY_ID = f"subjectAltName = {','.join(HERE)}\nauthorityKeyIdentifier = keyid\nextendedKeyUsage = serverAuth"


def key_of(certificate) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, as docs/audit.md says."""
    return subprocess.run(f"openssl x509 -in {certificate} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum", shell=True, check=True,
                          capture_output=True, text=True).stdout.split()[0]


def told(proxy):
    return [event for event in proxy.all_events() if event["event"] == "upstream_certificate"]


def log_lines(proxy):
    return re.findall(r'info upstream "orders" (?:\S+): (?:shows|moved|its certificate).*', proxy.log())


@pytest.mark.parametrize("inventory", ["inventory.db", ""])
def test_a_ca_of_the_same_name_with_another_key_is_another_one(start, fake, pki, inventory):
    before, after = (pki.authority("The Only CA") for _ in range(2))
    old, new = (pki.odd(ca, "server", KEY_ID) for ca in (before, after))
    first, second = fake(accepting(server_context(old))), fake(accepting(server_context(new)))
    proxy = start([first.host, second.host], upstream={"sslrootcert": [str(before.cert), str(after.cert)]}, audit={"inventory": inventory},
                  admin={"http": "127.0.0.1:0"})
    log_in(proxy, 2)
    shown = proxy.event("upstream_certificate")
    assert (shown["ca"], shown["anchor"], shown["anchor_key_sha256"]) == ("first", "CN=The Only CA", key_of(before.cert))
    assert [shown[name] for name in ("anchor_before", "anchor_key_sha256_before", "sha256_before", "upstream_addr_before")] == [None] * 4
    first.close()
    log_in(proxy, 2)
    moved = proxy.events("upstream_certificate", 2)[1]
    assert (moved["ca"], moved["issuer"], moved["issuer_before"], moved["anchor"], moved["anchor_before"]) == ("other", *["CN=The Only CA"] * 4)
    assert (moved["anchor_key_sha256"], moved["anchor_key_sha256_before"]) == (key_of(after.cert), key_of(before.cert))
    assert moved["issuer_key_id"] and moved["issuer_key_id_before"] not in (None, moved["issuer_key_id"])
    assert (moved["sha256_before"], moved["upstream_addr_before"]) == (shown["sha256"], first.host)
    until(lambda: {labels["ca"]: value for labels, value in scrape(proxy).of("upstream_certificate_changes_total", upstream="orders")}
          == {"first": 1, "same": 0, "other": 1, "unknown": 0})
    proxy.stop()
    assert len(told(proxy)) == 2
    shows, moves = log_lines(proxy)
    assert f'{first.host}: shows "CN=server" of "CN=The Only CA" (anchor "CN=The Only CA", key {key_of(before.cert)[:16]}), expires 20' in shows
    assert (f'{second.host}: moved from "CN=The Only CA" (anchor "CN=The Only CA", key {key_of(before.cert)[:16]}) to '
            f'"CN=The Only CA" (anchor "CN=The Only CA", key {key_of(after.cert)[:16]}), expires 20') in moves


def test_a_known_certificate_that_another_ca_verifies_is_news_and_a_renewed_ca_is_none(run_proxy, fake, pki):
    ca = pki.authority("The Issuing CA")
    cross_signed, renewed = pki.certified_again(ca, pki.old), pki.certified_again(ca)
    leaf = pki.leaf(ca, "server", HERE)
    server = fake(accepting(server_context(replace(leaf, cert=pki.bundle("chain.crt", leaf, cross_signed)))))

    def trusting(authority):
        return configuration(pki, [server.host], upstream={"sslrootcert": [str(authority.cert)]}, admin={"http": "127.0.0.1:0"})
    proxy = run_proxy(trusting(ca))
    log_in(proxy)
    proxy.event("upstream_certificate", ca="first", anchor="CN=The Issuing CA")
    reload(proxy, trusting(renewed))
    log_in(proxy)
    reload(proxy, trusting(pki.old))
    log_in(proxy, 2)
    moved = proxy.events("upstream_certificate", 2)[1]
    assert (moved["ca"], moved["anchor_before"], moved["anchor"]) == ("other", "CN=The Issuing CA", "CN=Test Old CA")
    assert (moved["anchor_key_sha256_before"], moved["anchor_key_sha256"]) == (key_of(renewed.cert), key_of(pki.old.cert))
    assert moved["sha256"] == moved["sha256_before"]
    assert (moved["upstream_addr"], moved["upstream_addr_before"]) == (server.host, server.host)
    until(lambda: scrape(proxy)("upstream_certificate_changes_total", upstream="orders", ca="other") == 1)
    reload(proxy, trusting(ca))
    log_in(proxy)
    proxy.stop()
    assert len(told(proxy)) == 2, "the one that was renewed is the same, and those that are known are no news"
    assert "its certificate, of before, is verified by another anchor" in log_lines(proxy)[1]
    again = run_proxy({**trusting(ca), "runtime": {"state_dir": str(proxy.state_dir), "drain_timeout": "2s", "core_dumps": True}})
    log_in(again)
    again.stop()
    assert len(told(proxy)) == 2, "nor are they after a restart"  # they share a state directory


def test_what_verified_a_server_and_how_keys_were_exchanged_is_in_the_inventory_and_all_that_reads_it(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server))).host], admin={"http": "127.0.0.1:0"}, audit={"process_owner": False})
    for curve in ("prime256v1", "secp384r1"):
        context = tls_context()
        context.set_ecdh_curve(curve)
        client(proxy).negotiate("sslrequest", context).login(application_name="app")
    client(proxy).login(application_name="in clear")
    wait_for_total(proxy, 3)
    groups = [event["group"] for event in proxy.events("connected", 3)]
    assert groups[:2] == ["P-256", "P-384"] and groups[2] is None
    group = proxy.event("upstream_certificate")["group"]
    assert rows(proxy.state_dir, "SELECT groups FROM clients ORDER BY application_name") == [{"groups": "P-384,P-256"}, {"groups": ""}]
    assert rows(proxy.state_dir, "SELECT anchor_key_sha256, groups FROM upstream_certificates") == [
        {"anchor_key_sha256": key_of(pki.new.cert), "groups": group}]

    assert console_rows(proxy.console, "SELECT groups FROM clients WHERE application_name = 'app'") == [["P-384,P-256"]]
    assert console_rows(proxy.console, "SELECT anchor_key_sha256, groups FROM upstream_certificates") == [[key_of(pki.new.cert), group]]
    report = json.loads(pgairlock("report", "--state-dir", proxy.state_dir, "--format", "json").stdout)
    assert {c["application_name"]: c["groups"] for c in report["clients"]} == {"app": ["P-384", "P-256"], "in clear": []}
    (certificate,) = report["upstream_certificates"]
    assert (certificate["anchor_key_sha256"], certificate["groups"]) == (key_of(pki.new.cert), [group])


def test_a_fleets_database_has_keys_and_groups_too(start, client, fake, pki, fleet_database):
    proxy = start([fake(accepting(server_context(pki.server))).host], audit={"inventory": fleet_database.url})
    client(proxy).negotiate("sslrequest", tls_context()).login(application_name="app")
    group = proxy.event("connected")["group"]
    until(lambda: fleet_database.sql("SELECT to_regclass('pgairlock.upstream_certificates')") != [(None,)])
    until(lambda: fleet_database.sql("SELECT anchor_key_sha256 FROM pgairlock.upstream_certificates") == [(key_of(pki.new.cert),)])
    until(lambda: fleet_database.sql("SELECT groups FROM pgairlock.clients") == [(group,)])
