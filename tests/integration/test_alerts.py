"""[[alert]]: messages to a real HTTPS server and to programs, and what receivers do wrong."""

import json
import re
import signal
import time

import psycopg2
import pytest

from harness import programs
from harness.config import configuration, to_toml
from harness.http import scrape
from harness.waiting import until
from harness.webhook import Webhook

AT_ONCE = {"group_wait": "0s", "group_interval": "0s"}
ADMIN = {"http": "127.0.0.1:0"}


@pytest.fixture
def webhook(pki):
    made = []

    def make(*arguments, **options) -> Webhook:
        made.append(Webhook(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def web(pki):
    """The certificate of a receiver."""
    return pki.leaf(pki.people, "hooks.example", ("DNS:localhost", "IP:127.0.0.1"))


@pytest.fixture
def to(pki):
    """An alert to that receiver."""
    def make(receiver, on="new_weak_client", host="localhost", **keys):
        return {"name": "page", "on": on, "webhook": receiver.url(host), "sslrootcert": [str(pki.people.cert)], **AT_ONCE, **keys}
    return make


def nothing_secret(proxy):
    assert "hush" not in proxy.log() and "hush" not in proxy.audit_text()


# --- what is told


def test_a_new_weak_client_is_told_once_over_verified_tls(start, webhook, web, to, client):
    receiver = webhook(web)
    proxy = start(alert=[to(receiver)], admin=ADMIN, runtime={"name": "here"})
    client(proxy).login()
    message, = receiver.messages()
    assert (message["kind"], message["status"], message["alert"], message["proxy"]) == ("new_weak_client", "firing", "page", "here")
    assert message["title"] == "a new weak client (upstream orders)" and "in clear text" in message["text"]
    event = proxy.event("new_weak_client")
    assert message["events"] == [event] and event["verifies"] == "no" and event["ssl"] is False
    headers, _ = receiver.requests[0]
    assert headers["Content-Type"] == "application/json" and headers["Idempotency-Key"] == f'"{message["id"]}"'
    client(proxy).login()  # known by now
    proxy.events("connected", 2)
    until(lambda: scrape(proxy)("alerts_total", alert="page", result="sent") == 1, what="it was counted")
    assert len(receiver.requests) == 1
    nothing_secret(proxy)


def test_a_storm_is_one_message(start, webhook, web, to, connect):
    receiver = webhook(web)
    proxy = start(alert=[to(receiver, group_wait="3s", group_interval="1h")])
    for number in range(60):
        connect(proxy, application_name=f"storm {number}")
    proxy.events("new_weak_client", 60)
    message = receiver.messages()[0]
    assert message["count"] == 60 and len(message["events"]) == 10
    assert "and 50 more" in message["text"] and message["title"].startswith("60 new weak clients")
    assert len(receiver.requests) == 1


def test_slack_gets_text_in_which_no_name_calls_anybody(start, webhook, web, to, connect):
    receiver = webhook(web)
    proxy = start(alert=[to(receiver, template="slack")])
    connect(proxy, application_name="<!channel> & \"x\"")
    message, = receiver.messages()
    assert set(message) == {"text"} and "&lt;!channel&gt; &amp; \"x\"" in message["text"]
    assert "<" not in message["text"]
    assert proxy


def test_a_form_of_ones_own(start, webhook, web, to, client, directory):
    form = directory / "form.json"
    form.write_text('{"routing_key": "k", "payload": {"summary": "{title}", "n": {count}, "raw": {events}}}')
    receiver = webhook(web)
    proxy = start(alert=[to(receiver, template_file=str(form))])
    client(proxy).login()
    message, = receiver.messages()
    assert message["payload"]["summary"].startswith("a new weak client") and message["payload"]["n"] == 1
    assert message["payload"]["raw"][0]["event"] == "new_weak_client" and proxy


def test_a_server_that_is_not_verified_is_told_and_so_is_its_end(start, webhook, web, to, client, pki):
    receiver = webhook(web)
    alert = to(receiver, on=["upstream_unverified", "reload_failed"], group_interval="0s")
    proxy = start(upstream={"sslrootcert": [str(pki.old.cert)]}, alert=[alert])
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host="127.0.0.1", port=proxy.port, user="trust_user", dbname="postgres", sslmode="disable", gssencmode="disable")
    first = receiver.messages()[0]
    assert (first["kind"], first["status"], first["upstream"]) == ("upstream_unverified", "firing", "orders")
    text = proxy.config_file.read_text()
    proxy.config_file.write_text(text + "\n[[nonsense]]\n")
    proxy.signal(signal.SIGHUP)
    proxy.event("reload_failed")
    assert receiver.messages(2)[1]["kind"] == "reload_failed"
    proxy.config_file.write_text(text.replace(str(pki.old.cert), str(pki.new.cert)))
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    resolved = receiver.messages(3)[2]
    assert (resolved["kind"], resolved["status"], resolved["title"]) == ("reload_failed", "resolved", "the configuration was reloaded")
    client(proxy).login()
    assert [(one["kind"], one["status"]) for one in receiver.messages(4)][3] == ("upstream_unverified", "resolved")
    nothing_secret(proxy)


def test_certificates_near_their_end_are_told_of_servers_and_of_our_own(start, webhook, web, to, client, pki, run_proxy, cluster):
    receiver = webhook(web)
    proxy = start(audit={"expiry_warning": "3000d"}, alert=[to(receiver, on="certificate_expiring")])
    own = proxy.event("certificate_expiring", listener="legacy")
    assert own["subject"] == "CN=proxy.front" and "that clients are shown ends in" in own["message"]
    for _ in range(3):
        client(proxy).login()
    server = proxy.event("certificate_expiring", upstream="orders", certificate_kind="server")
    assert server["subject"] == "CN=server.new" and server["upstream_addr"] == cluster.host
    assert {one["upstream"] for one in receiver.messages(2)} == {None, "orders"}


# --- receivers that do not take it


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_receiver_that_is_not_verified_is_told_nothing(start, webhook, web, to, client, pki, wrong):
    other = pki.leaf(pki.people, "other.example", ("DNS:other.example",))
    receiver = webhook(web if wrong == "authority" else other)
    keys = {"sslrootcert": [str(pki.old.cert)]} if wrong == "authority" else {}
    proxy = start(alert=[to(receiver, **keys)], admin=ADMIN)
    client(proxy).login()
    proxy.wait_for_log(r'alert "page": https://localhost:\d+/\.\.\. does not take messages: its certificate is not accepted: ' +
                       ("unable to get|self.signed" if wrong == "authority" else "hostname mismatch"))
    assert not receiver.requests
    assert scrape(proxy)("alerts_total", result="failed") >= 1 and scrape(proxy)("alerts_waiting") == 1
    nothing_secret(proxy)


def test_what_fails_is_sent_again_with_the_same_id(start, webhook, web, to, client):
    receiver = webhook(web, answers=[500, 408, 503])
    proxy = start(alert=[to(receiver)])
    client(proxy).login()
    messages = receiver.messages(4)
    assert len({message["id"] for message in messages}) == 1
    proxy.wait_for_log("takes messages again")


def test_a_receiver_that_asks_to_wait_is_obeyed(start, webhook, web, to, client):
    receiver = webhook(web, answers=[(429, {"Retry-After": "4"})])
    proxy = start(alert=[to(receiver)])
    client(proxy).login()
    receiver.messages(1)
    begin = time.monotonic()
    receiver.messages(2)
    assert time.monotonic() - begin > 3
    assert proxy


@pytest.mark.parametrize("answer", [400, 413, 422])
def test_what_is_refused_for_good_is_not_sent_again(start, webhook, web, to, client, connect, answer):
    receiver = webhook(web, answers=[answer])
    proxy = start(alert=[to(receiver)], admin=ADMIN)
    client(proxy).login()
    proxy.wait_for_log(r"refuses message \S+, which is given up: HTTP 4")
    connect(proxy, application_name="another")
    assert len({message["id"] for message in receiver.messages(2)}) == 2
    assert scrape(proxy)("alerts_total", result="dropped") == 1


@pytest.mark.parametrize("answer", [401, 403, 404, (302, {"Location": "https://localhost/elsewhere"})])
def test_what_somebody_can_mend_keeps_its_messages_and_a_reload_sends_them(start, webhook, web, to, client, answer):
    receiver = webhook(web, answers=[answer])
    proxy = start(alert=[to(receiver)], admin=ADMIN)
    client(proxy).login()
    proxy.wait_for_log(r"does not take messages: HTTP [34]")
    assert scrape(proxy)("alerts_total", result="dropped") == 0
    proxy.signal(signal.SIGHUP)
    assert len({message["id"] for message in receiver.messages(2)}) == 1


def test_a_receiver_that_hangs_or_never_ends_holds_up_nobody(start, webhook, web, to, client):
    def hang(_):
        time.sleep(3600)

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000000")
        handler.end_headers()
        handler.wfile.write(b"x" * 100)
        time.sleep(3600)

    receiver = webhook(web, answers=[hang, endless])
    proxy = start(alert=[to(receiver, timeout="1s")])
    client(proxy).login()
    proxy.wait_for_log("does not take messages: no answer in time")
    client(proxy).login()
    receiver.messages(2)
    proxy.wait_for_log("takes messages again")  # its body is nobody's business


def test_what_was_not_sent_outlives_a_restart(start, webhook, web, to, client, run_proxy, pki, cluster):
    receiver = webhook(web)
    port = receiver.port
    receiver.close()
    config = configuration(pki, [cluster.host], alert=[to(receiver)])
    proxy = run_proxy(config)
    client(proxy).login()
    proxy.wait_for_log("does not take messages: Connection refused")
    kept, = (proxy.state_dir / "alerts" / "page").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    proxy.stop()
    config["runtime"]["state_dir"] = str(proxy.state_dir)
    again = webhook(web, port=port)
    second = run_proxy(config)
    message, = again.messages()
    assert message["id"] == kept.stem and message["kind"] == "new_weak_client"
    until(lambda: not kept.exists(), what="it is forgotten")
    assert second


# --- programs


def test_a_program_is_given_the_message(start, client, directory):
    script, out = directory / "page-me", directory / "out"
    script.write_text(f"#!/bin/sh\ncat > {out}.new\nenv >> {out}.env\nmv {out}.new {out}\n")
    script.chmod(0o755)
    proxy = start(alert=[{"on": "new_weak_client", "command": [str(script)], **AT_ONCE}])
    client(proxy).login()
    until(out.exists, what="it was run")
    assert json.loads(out.read_text())["kind"] == "new_weak_client"
    environment = (directory / "out.env").read_text()
    assert "PGAIRLOCK_ALERT_KIND=new_weak_client" in environment and "STATE_DIRECTORY" not in environment
    assert proxy


def test_a_program_that_hangs_is_killed_and_tried_again(start, client, directory):
    script, count = directory / "page-me", directory / "count"
    script.write_text(f"#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -gt 1 ] || sleep 600\n")
    script.chmod(0o755)
    proxy = start(alert=[{"on": "new_weak_client", "command": [str(script)], "timeout": "1s", **AT_ONCE}])
    client(proxy).login()
    proxy.wait_for_log(r'alert "alert-1": \S+page-me does not take messages: not done in time, and killed')
    proxy.wait_for_log("page-me takes messages again")


# --- reload, check, and trying one


def test_a_reload_changes_whom_is_told(start, webhook, web, to, client, connect):
    first, second = webhook(web), webhook(web)
    proxy = start(alert=[to(first)])
    client(proxy).login()
    first.messages()
    proxy.config_file.write_text(proxy.config_file.read_text().replace(str(first.port), str(second.port)))
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    connect(proxy, application_name="another")
    second.messages()
    assert len(first.requests) == 1


def test_check_and_alert_test(pki, directory, webhook, web, to):
    receiver, token = webhook(web), directory / "token"
    token.write_text("hush-token\n")
    config = directory / "some.toml"

    def write(**keys):
        config.write_text(to_toml(configuration(pki, ["127.0.0.1:1"], alert=[to(receiver, token_file=str(token), **keys)])))

    write()
    token.chmod(0o644)
    checked = programs.pgairlock("check", "--offline", "--config", str(config))
    assert checked.returncode == 2 and "alert.token_file" in checked.stderr and "group or world access" in checked.stderr
    token.chmod(0o600)
    assert programs.pgairlock("check", "--offline", "--config", str(config)).returncode == 0
    tried = programs.pgairlock("alert", "test", "--config", str(config))
    assert tried.returncode == 0, tried
    assert tried.stdout == f"page: https://localhost:{receiver.port}/...: sent: HTTP 200\n"
    headers, body = receiver.requests[0]
    assert headers["Authorization"] == "Bearer hush-token" and json.loads(body)["status"] == "test"
    receiver.answers = [500]
    tried = programs.pgairlock("alert", "test", "--config", str(config))
    assert tried.returncode == 1 and "FAILED: HTTP 500" in tried.stdout
    assert re.search(rf'^  {re.escape(str(config))}:\d+: alert\.webhook: of \[\[alert\]\] "page"$', tried.stdout, flags=re.MULTILINE), tried.stdout
    receiver.answers = [401]
    tried = programs.pgairlock("alert", "test", "--config", str(config))
    assert tried.returncode == 1 and '"page": it wants another token: token_file' in tried.stdout
    tried = programs.pgairlock("alert", "test", "--config", str(config), "--on", "started")
    assert tried.returncode == 2 and re.search(r"some\.toml:\d+:\d+: .*is told of .*, and not of started", tried.stderr), tried.stderr
    assert "did you mean" in programs.pgairlock("alert", "test", "--config", str(config), "--on", "new_weak_clien").stderr
    form = directory / "form.json"
    form.write_text('{"text": "{titel}"}')
    write(template_file=str(form))
    checked = programs.pgairlock("check", "--offline", "--config", str(config))
    assert checked.returncode == 2 and 'did you mean "title"?' in checked.stderr
