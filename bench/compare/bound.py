"""The bound: what is left to a proxy with TLS towards the server when everything it does itself costs nothing, in the same run. It is the CPU of
the null proxy (`pgairlock-bench forward`: one thread's system calls and wake-ups for the same load), and the cipher's for each encrypted leg."""

from statistics import median

from programs import run
from report import SUBJECT, Results
from targets import NULL_PROXY

CIPHER = "aes-256-gcm"  # as negotiated
ENCRYPTED_LEGS = {"tls": 2, "plain": 1}

# By the beginning of a row's name: size of a record in bytes, records that a leg encrypts or decrypts for one unit of the CPU metric, such units
# in a second. A transaction of pgbench -S is a record each way; PostgreSQL's buffer, and so its record, is 8 KiB.
RECORDS = {"pgbench": (128, 2, 1e6), "copy": (8192, 2**30 / 8192, 1)}


def bound(results: Results) -> str:
    """Markdown; empty without rows that have a bound."""
    rows = [cell for cell in results.cells() if NULL_PROXY in cell[0].targets and "CPU" in cell[2].name]
    if not rows:
        return ""
    sizes = {size: _seconds_per_record(size) for size, _, _ in RECORDS.values()}
    lines = [f"| CPU | {NULL_PROXY} | cipher | bound | {SUBJECT} | {SUBJECT} / bound |", "|---|---:|---:|---:|---:|---:|"]
    for row, leg, metric, index in rows:
        size, records, unit = next(known for name, known in RECORDS.items() if row.name.startswith(name))
        null = median(results.values(row, leg, NULL_PROXY, index))
        cipher = ENCRYPTED_LEGS[leg] * records * sizes[size] * unit
        ours = median(results.values(row, leg, SUBJECT, index))
        cells = [f"{value:.{metric.digits}f}" for value in (null, cipher, null + cipher, ours)]
        lines.append(f"| {row.name} {leg}: {metric.name} | " + " | ".join(cells) + f" | {ours / (null + cipher):.2f} |")
    measured = ", ".join(f"{seconds * 1e6:.2f} µs for a record of {size} bytes" for size, seconds in sizes.items())
    return f"""## The bound

The null proxy (`pgairlock-bench forward`) hands bytes on in one thread and looks at none. The cipher: {measured} by
`openssl speed -aead -evp {CIPHER}`, without TLS around it. Both together are the bound, though not a strict one: a proxy that is slower
finds more bytes each time it wakes.

""" + "\n".join(lines) + "\n"


def _seconds_per_record(size: int, repeats: int = 5) -> float:
    """Median, because this machine may be shared."""
    bytes_per_second = []
    for _ in range(repeats):
        output = run(["openssl", "speed", "-mr", "-aead", "-evp", CIPHER, "-seconds", "1", "-bytes", size])
        bytes_per_second.append(float(output.strip().rsplit(":", 1)[1]))
    return size / median(bytes_per_second)
