"""Receivers of [[alert]] that do everything wrong, folders and files that do not serve, and what a former process has left: what is said,
where, and that nothing else is delayed."""

import gzip
import json
import os
import re
import signal
import time

import pytest

from harness import programs
from harness.config import configuration, to_toml
from harness.http import scrape
from harness.waiting import until
from harness.webhook import Webhook
from test_alerts import ADMIN, AT_ONCE, to, web, webhook  # noqa: F401 (fixtures)

MAX_MESSAGES = 256  # of one alert, in memory and on the disk


def hang(_):
    time.sleep(3600)


def chunked(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in (b"o", b"k" * 70_000, b""):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def compressed(handler):
    body = gzip.compress(b"ok" * 100_000)
    handler.send_response(202)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def closes_in_the_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
    handler.close_connection = True


def closes_in_the_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True


def speaks_otherwise(handler):
    handler.wfile.write(b"220 smtp.example ESMTP\r\n")
    handler.close_connection = True


WRONG = {
    "hangs": (hang, "no answer in time"),
    "500": (500, "HTTP 500"),
    "301": ((301, {"Location": "https://localhost/elsewhere"}), "HTTP 301, a redirect, which is not followed"),
    "413": (413, "HTTP 413"),
    "closes in the head": (closes_in_the_head, "it closed the connection without an answer"),
    "no HTTP": (speaks_otherwise, "it does not speak HTTP"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_receiver_does_wrong_is_said_and_delays_nothing_else(start, webhook, web, to, client, connect, wrong):
    answer, said = WRONG[wrong]
    bad, good = webhook(web, answers=[answer] * 1000), webhook(web)
    proxy = start(alert=[to(bad, timeout="1s"), {**to(good), "name": "other"}], admin=ADMIN)
    raw = client(proxy)
    raw.login()
    refused = f'alert "page": https://localhost:{bad.port}/... '
    pattern = re.escape(refused) + (rf"refuses message \S+, which is given up: {said}" if wrong == "413"
                                    else f"does not take messages: {re.escape(said)}; they are kept and sent later")
    proxy.wait_for_log(pattern)
    good.messages(1)
    connect(proxy, application_name="another").close()
    good.messages(2)
    assert raw.query("SELECT 1") == [[b"1"]]
    now = scrape(proxy)
    assert now("alerts_total", alert="page", result="failed") >= 1 and now("alerts_total", alert="page", result="sent") == 0
    until(lambda: scrape(proxy)("alerts_total", alert="other", result="sent") == 2, what="the other is counted")
    assert scrape(proxy)("alerts_total", alert="other", result="failed") == 0
    assert "hush" not in proxy.log()


@pytest.mark.parametrize("answer", [chunked, compressed, closes_in_the_body])
def test_of_an_answer_only_its_head_matters(start, webhook, web, to, client, answer):
    receiver = webhook(web, answers=[answer])
    proxy = start(alert=[to(receiver)], admin=ADMIN)
    client(proxy).login()
    until(lambda: scrape(proxy)("alerts_total", alert="page", result="sent") == 1, what="it was sent")
    assert len(receiver.requests) == 1 and scrape(proxy)("alerts_total", alert="page", result="failed") == 0


def test_a_certificate_that_has_expired_is_said(start, webhook, to, client, pki):
    expired = pki.leaf(pki.people, "expired.hooks.example", ("DNS:localhost", "IP:127.0.0.1"), days=(-20, -10))
    receiver = webhook(expired)
    proxy = start(alert=[to(receiver)], admin=ADMIN)
    client(proxy).login()
    proxy.wait_for_log(r'alert "page": \S+ does not take messages: its certificate is not accepted: certificate has expired')
    assert not receiver.requests and scrape(proxy)("alerts_waiting") == 1


def test_one_refused_certificate_is_one_message(start, webhook, web, to, client, pki, connect):
    receiver = webhook(web)
    proxy = start(upstream={"sslrootcert": [str(pki.old.cert)]}, admin=ADMIN,
                  alert=[to(receiver, on=["upstream_failed", "upstream_unverified", "stopping"], group_interval="1h")])
    with pytest.raises(Exception, match="certificate"):
        connect(proxy)
    proxy.event("upstream_failed")
    assert receiver.messages()[0]["kind"] == "upstream_unverified"
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    told = {message["id"]: message["kind"] for message in receiver.messages(2)}  # one that an end comes in between may come again
    assert list(told.values()) == ["upstream_unverified", "stopping"]


# --- what cannot be used


@pytest.mark.parametrize("wrong", ["ca", "no ca", "command"])
def test_what_cannot_be_used_is_refused_at_the_start_and_at_a_reload(start, run_proxy, webhook, web, to, connect, directory, pki, cluster, wrong):
    junk = directory / "junk"
    junk.write_text("no certificate\n")
    receiver = webhook(web)
    alert = {"ca": {**to(receiver), "sslrootcert": [str(junk)]},
             "no ca": {**to(receiver), "sslrootcert": [str(directory / "missing")]},
             "command": {"name": "page", "on": "new_weak_client", "command": [str(junk)], **AT_ONCE}}[wrong]
    named = str(directory / "missing") if wrong == "no ca" else str(junk)
    bad = configuration(pki, [cluster.host], alert=[alert])
    bad["runtime"]["state_dir"] = str(directory / "state")
    file = directory / "bad.toml"
    file.write_text(to_toml(bad))
    refused = programs.pgairlock("run", "--config", str(file))
    assert refused.returncode == (1 if wrong == "no ca" else 2) and named in refused.stderr and "alert" in refused.stderr, refused

    proxy = start(alert=[to(receiver)])
    connect(proxy, application_name="before").close()
    receiver.messages(1)
    good = proxy.config_file.read_text()
    proxy.config_file.write_text(good[:good.index("[[alert]]")] + to_toml({"alert": [alert]}))
    proxy.signal(signal.SIGHUP)
    assert named in proxy.event("reload_failed")["message"]
    connect(proxy, application_name="after").close()  # the last good configuration goes on
    assert "after" in receiver.messages(2)[1]["text"]


def test_where_nothing_can_be_kept_messages_are_sent_all_the_same(run_proxy, webhook, web, to, client, pki, cluster):
    receiver = webhook(web)
    proxy = run_proxy(configuration(pki, [cluster.host], alert=[to(receiver)]))
    (proxy.state_dir / "alerts").write_text("no folder")
    client(proxy).login()
    receiver.messages()
    proxy.wait_for_log(r'alert "page": messages cannot be kept in \S+/alerts/page: Not a directory; a restart would lose them')


# --- what a former process has left


def test_all_that_a_former_process_left_is_sent_but_what_is_damaged(run_proxy, webhook, web, to, client, pki, cluster):
    """More than fit at once, one that is none, and one that cannot be opened, which stays."""
    receiver = webhook(web)
    port = receiver.port
    receiver.close()
    config = configuration(pki, [cluster.host], alert=[to(receiver)], admin=ADMIN)
    proxy = run_proxy(config)
    client(proxy).login()
    proxy.wait_for_log("does not take messages: Connection refused")
    kept, = (proxy.state_dir / "alerts" / "page").glob("*.json")
    proxy.stop()
    left = json.loads(kept.read_text())
    ids = {left["id"]}
    for number in range(MAX_MESSAGES + 20):
        left["id"] = f"former-{number:06}"
        ids.add(left["id"])
        (kept.parent / f"{left['id']}.json").write_text(json.dumps(left) + "\n")
    (kept.parent / "damaged.json").write_text(kept.read_text()[:-20])
    os.symlink(kept.parent / "away", kept.parent / "unreadable.json")
    config["runtime"]["state_dir"] = str(proxy.state_dir)
    again = webhook(web, port=port)
    second = run_proxy(config)
    until(lambda: {json.loads(body)["id"] for _, body in again.requests} == ids, what="all were sent")
    until(lambda: scrape(second)("alerts_total", alert="page", result="sent") == len(ids), what="all were counted")
    now = scrape(second)
    assert now("alerts_total", alert="page", result="dropped") == 1
    assert now("alerts_waiting", alert="page") == 1  # that cannot be read
    assert [path.name for path in kept.parent.iterdir()] == ["unreadable.json"]
    second.wait_for_log(r'alert "page": 1 messages in \S+ were damaged, and are lost')
    second.wait_for_log(r'alert "page": messages in \S+ cannot be read: .*; tried again later')
