"""The proxy's configuration as a dict, and that dict as TOML."""

import json


def configuration(pki, hosts, *, tls=None, listener=None, upstream=None, **tables) -> dict:
    """One listener before one verify-full upstream named `orders`; every argument adds keys to its table, None removes one."""
    config = {
        # core_dumps: otherwise its descriptors could be looked at by root alone.
        "runtime": {"drain_timeout": "2s", "core_dumps": True},
        "listener": [{
            "name": "legacy",
            "listen": ["127.0.0.1:0"],
            "upstream": "orders",
            "tls": {"mode": "allow", "cert_file": str(pki.proxy.cert), "key_file": str(pki.proxy.key)},
        }],
        "upstream": {"orders": {"hosts": list(hosts), "sslmode": "verify-full", "sslrootcert": [str(pki.new.cert)],
                                # The default is short for a machine with much else to do.
                                "connect_timeout": "60s"}},
    }
    _merge(config["listener"][0], listener or {})
    _merge(config["listener"][0]["tls"], tls or {})
    _merge(config["upstream"]["orders"], upstream or {})
    _merge(config, tables)
    return config


def to_toml(config: dict) -> str:
    lines: list[str] = []
    _table(config, "", lines)
    return "\n".join(lines) + "\n"


def _merge(into: dict, extra: dict) -> None:
    for key, value in extra.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _table(table: dict, prefix: str, lines: list[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_tables(value):
            lines.append(f"{key} = {_value(value)}")
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(f"\n[{prefix}{key}]")
            _table(value, f"{prefix}{key}.", lines)
        elif _is_tables(value):
            for element in value:
                lines.append(f"\n[[{prefix}{key}]]")
                _table(element, f"{prefix}{key}.", lines)


def _is_tables(value) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _value(value) -> str:
    """TOML's basic strings, numbers, booleans and arrays are written as JSON's."""
    return json.dumps(value if isinstance(value, (str, int, bool, float, list)) else str(value))
