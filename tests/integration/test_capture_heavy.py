"""What a capture cannot keep up with: bench/capture/heavy.py for some seconds. Every packet is in the capture, or counted as dropped."""

import pytest

from harness import messages, programs
from harness.capture import PACKET, blocks, capture, raw, started, wait_for_event
from harness.capture_heavy import BENCH, MAX_TOTAL, MIB, RING, Outcome, connect_through, copy_through, into_ring, to_slow_reader
from harness.capture_tally import Tally
from harness.null_server import NullServer

pytestmark = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy, and their memory says nothing")


@pytest.fixture
def outcome():
    return Outcome()


@pytest.fixture
def holds(outcome, record_property):
    """Asserts that it does, and shows what was measured."""
    def judge():
        assert not outcome.faults, outcome.figures
        record_property("figures", "; ".join(outcome.figures))
    return judge


def test_a_copy_into_a_ring_keeps_the_bounds_of_memory_and_disk(start, outcome, holds):
    proxy = start(capture=RING)
    tally = Tally()
    copy_through(proxy, outcome, 160 * MIB, tally, into_ring(proxy, outcome, "--payload", "redacted", tally=tally))
    holds()
    # Both legs together are more than the ring may have.
    assert tally.bytes > MAX_TOTAL or outcome.dropped > 0


@pytest.mark.parametrize("payload", ["redacted", "full"])
def test_what_a_slow_reader_does_not_take_of_a_copy_is_dropped_and_counted_and_the_client_has_all(start, outcome, holds, payload):
    proxy = start(capture=RING)
    tally = Tally()
    copy_through(proxy, outcome, 64 * MIB, tally, to_slow_reader(proxy, outcome, "--payload", payload, tally=tally))
    holds()
    assert outcome.dropped > 0


@pytest.fixture
def null_server(directory, pki):
    made = NullServer(BENCH, directory, pki.server)
    yield made
    made.stop()


def test_of_many_connections_each_packet_is_in_a_ring_or_counted(start, outcome, holds, null_server):
    proxy = start([null_server.host], capture=RING)
    tally = Tally(short_sessions=True)
    connect_through(proxy, outcome, tally, into_ring(proxy, outcome, tally=tally), "--connections", 400, clients=20)
    holds()


def test_what_a_slow_reader_does_not_take_of_many_connections_is_dropped_and_counted(start, outcome, holds, null_server):
    proxy = start([null_server.host], capture={**RING, "allow_secrets": True})
    tally = Tally(short_sessions=True)
    capture = to_slow_reader(proxy, outcome, "--payload", "full", "--keylog", tally=tally)
    # Both legs, each with its records, have nearly twice what the queue holds.
    connect_through(proxy, outcome, tally, capture, "--connections", 700, clients=20, query_size=45 << 10, keylog=True)
    holds()
    assert outcome.dropped > 0


def test_one_packet_that_is_taken_out_of_a_capture_is_missed(start, client):
    """What the tests above rely on."""
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        for number in range(5):
            one.query(f"SELECT {number}")
        one.send(messages.TERMINATE)
    wait_for_event(proxy, "disconnected", proxy.event("disconnected")["session"])
    proxy.stop()
    stopped = proxy.event("capture_stopped")
    whole = blocks(raw(proxy))
    assert counted(block for _, block in whole).faults(stopped) == []
    packets = [number for number, (kind, _) in enumerate(whole) if kind == PACKET]
    for packet in packets:
        assert counted(block for number, (_, block) in enumerate(whole) if number != packet).faults(stopped), f"packet {packet} is not missed"
    # And by what is left alone, where the capture does not know how many there were.
    missed = [counted(block for number, (_, block) in enumerate(whole) if number != packet).numbers_missing for packet in packets]
    assert missed.count(1) >= 2 * 2 * 5


def counted(found) -> Tally:
    tally = Tally()
    assert tally.read(data := b"".join(found)) == len(data)
    return tally
