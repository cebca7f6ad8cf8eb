"""What drivers on top of libpq have in common: its connection parameters, and the version that decides which exist."""

from logins import NotSupported


def conninfo(request: dict, version: int) -> dict:
    """A login's fields as libpq's parameters; `version` as PQlibVersion() gives it."""
    names = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding")
    parameters = {name: request[name] for name in names if request.get(name) is not None}
    if request.get("sslnegotiation") == "direct":
        if version < 170000:
            raise NotSupported("direct TLS came with libpq 17")
        parameters["sslnegotiation"] = "direct"
    return {"gssencmode": "disable", **parameters}


def version_text(version: int) -> str:
    return f"{version // 10000}.{version % 10000}"
