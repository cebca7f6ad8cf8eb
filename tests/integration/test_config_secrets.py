"""A secret in the wrong place of the configuration is an everyday slip, and errors go far: to the terminal, the log, the audit, the console and
receivers of alerts. None of them gets it."""

import signal

import pytest

from harness import programs
from harness.config import configuration, to_toml
from harness.waiting import until
from test_alerts import AT_ONCE, to, web, webhook  # noqa: F401 (fixtures)
from test_console import psql

SECRET = "hunter2Zq"
ALERT = {"name": "second", "on": "started"}

SLIPS = {
    "blank": {"audit": {"inventory": f" postgresql://u:{SECRET}@h/db"}},
    "case": {"audit": {"inventory": f"Postgresql://u:{SECRET}@h/db"}},
    "scheme": {"audit": {"inventory": f"mysql://u:{SECRET}@h"}},
    "colon": {"audit": {"inventory": f"postgres//u:{SECRET}@h/db"}},
    "keywords": {"audit": {"inventory": f"host=h password={SECRET} dbname=x"}},
    "hosts": {"upstream": {"orders": {"hosts": [f"postgresql://u:{SECRET}@h:5432/db"]}}},
    "listen": {"listener": [{"listen": [f"u:{SECRET}@127.0.0.1:0"]}]},
    "upstream": {"listener": [{"upstream": f"postgresql://u:{SECRET}@h"}]},
    "http token": {"admin": {"http": "127.0.0.1:0", "http_token_file": SECRET}},
    "state": {"log": {"file": f"https://logs.test/{SECRET}"}},
    "webhook": {"alert": [{**ALERT, "webhook_file": f"https://hooks.slack.com/services/T0/B0/{SECRET}"}]},
    "token": {"alert": [{**ALERT, "webhook": "https://hooks.test/x", "token_file": SECRET}]},
    "command": {"alert": [{**ALERT, "command": f"/bin/x --token {SECRET}"}]},
    "on": {"alert": [{**ALERT, "on": f"https://hooks.test/{SECRET}", "command": "/bin/true"}]},
    "name": {"alert": [{**ALERT, "name": f"https://hooks.test/{SECRET}", "command": "/bin/true"}]},
}


def with_slip(good: dict, slip: dict) -> str:
    """As TOML: further alerts stand beside the one that is told."""
    tables = {key: value for key, value in good.items()}
    for key, value in slip.items():
        if key == "alert":
            tables[key] = good.get(key, []) + value
        elif key == "listener":
            tables[key] = [{**good[key][0], **value[0]}]
        elif key == "upstream":
            tables[key] = {"orders": {**good[key]["orders"], **value["orders"]}}
        else:
            tables[key] = {**good.get(key, {}), **value}
    return to_toml(tables)


@pytest.mark.parametrize("slip", SLIPS)
def test_check_and_run_show_no_secret(pki, cluster, directory, slip):
    good = configuration(pki, [cluster.host])
    good["runtime"]["state_dir"] = str(directory / "state")
    file = directory / "bad.toml"
    file.write_text(with_slip(good, SLIPS[slip]))
    for command in ("check", "run"):
        refused = programs.pgairlock(command, "--config", str(file))
        assert refused.returncode != 0 and f"{file}:" in refused.stderr, refused
        assert SECRET not in refused.stdout + refused.stderr
    assert not [one for one in directory.rglob("*") if SECRET in one.name]


def test_a_reload_that_fails_tells_nobody_a_secret(start, webhook, web, to, pki, cluster):
    receiver = webhook(web)
    alert = {**to(receiver, on="reload_failed"), **AT_ONCE}
    proxy = start(alert=[alert])
    good = configuration(pki, [cluster.host], alert=[alert])
    good["runtime"]["state_dir"] = str(proxy.state_dir)
    texts = [with_slip(good, slip) for slip in SLIPS.values()]
    texts.append(to_toml(good) + f'\n[auth]\nusers_file = "{SECRET}\n')
    told = []
    for count, text in enumerate(texts, 1):
        proxy.config_file.write_text(text)
        proxy.signal(signal.SIGHUP)
        key = proxy.events("reload_failed", count)[-1]["message"].split(": ")[1]
        until(lambda key=key: any(key in body for _, body in receiver.requests), what=f"an alert about {key}")
        if text == texts[-1]:
            told = [psql(proxy.console, sql, check=False) for sql in ("RELOAD", "SHOW CONFIG")]
        proxy.config_file.write_text(to_toml(good))  # the next failure is another one then
        proxy.signal(signal.SIGHUP)
        proxy.events("reloaded", count)
    shown = {"log": proxy.log(), "audit": proxy.audit_text(), "alerts": str(receiver.requests), "console": str(told), "stdout": proxy.stdout()}
    assert [where for where, text in shown.items() if SECRET in text] == []
    assert "expected the path of a file" in shown["audit"] and "neither the path of a file" in shown["alerts"]
