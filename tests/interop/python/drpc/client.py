"""Calls a dRPC server in every way, good and bad, and says check by check whether it behaves.

usage: client.py SOCKET

The server's module 100 has: 1 echo, 2 success without a body, 3 failure, 4 the status that the body
says as a little-endian int32, 5 answers when 32 calls are there; anything else is unknown.
"""

import struct
import sys
import threading

import wire

MODULE = 100
ECHO, NOTHING, FAIL, STATUS, TOGETHER = 1, 2, 3, 4, 5
PARALLEL = 32


class Connection:
    def __init__(self, path):
        self.sock = wire.connect(path)
        self.sequence = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def call(self, method, body=b"", module=MODULE):
        """Status and body of the answer to one call."""
        self.sequence += 1
        call = wire.Call(module=module, method=method, sequence=self.sequence, body=body)
        wire.send(self.sock, call.SerializeToString())
        return self.answer(self.sequence)

    def answer(self, sequence):
        message = wire.receive(self.sock)
        assert message is not None, "the server closed"
        response = wire.Response.FromString(message)
        canonical = response.SerializeToString(deterministic=True)
        assert message == canonical, "not encoded as protobuf's own encoder does"
        assert response.sequence == sequence, f"sequence {response.sequence}, not {sequence}"
        return response.status, response.body

    def closed(self):
        """Wants the end, with no answer in front of it."""
        try:
            got = self.sock.recv(wire.PACKET)
        except ConnectionResetError:
            # It had not read everything; what it sent before would still come.
            got = self.sock.recv(wire.PACKET)
        assert got == b"", f"answered {got[:64].hex()} instead of closing"


passed = 0


def passes(what):
    global passed
    passed += 1
    print(f"ok: {what}", flush=True)


def same(what, got, wanted):
    assert got == wanted, f"{what}: {str(got)[:200]}, not {str(wanted)[:200]}"
    passes(what)


def around(method, edge):
    """Lengths of bodies whose whole calls have one byte less than `edge`, as many, and one more."""
    empty = wire.Call(module=MODULE, method=method, sequence=1).ByteSize()
    # A body this long has a tag and three bytes of length.
    return [edge - empty - 4 + beside for beside in (-1, 0, 1)]


def bodies(path):
    lengths = [0, 64, 20_000, wire.DATA - 1, wire.DATA, wire.DATA + 1]
    lengths += around(ECHO, wire.DATA) + around(ECHO, 2 * wire.DATA)
    lengths += [1 << 20, 16 << 20]
    for length in lengths:
        with Connection(path) as there:
            body = wire.letters(length)
            same(f"echo of {length} bytes", there.call(ECHO, body), (wire.SUCCESS, body))
    with Connection(path) as there:
        for length in (64, 1 << 20, 0, wire.DATA, 1):
            body = wire.letters(length)
            assert there.call(ECHO, body) == (wire.SUCCESS, body), length
        passes("bodies of five lengths over one connection")


def statuses(path):
    with Connection(path) as there:
        same("success without a body", there.call(NOTHING, b"x"), (wire.SUCCESS, b""))
        same("unknown module", there.call(1, module=99), (wire.UNKNOWN_MODULE, b""))
        same("negative module", there.call(1, module=-1), (wire.UNKNOWN_MODULE, b""))
        same("unknown method", there.call(99), (wire.UNKNOWN_METHOD, b""))
        same("negative method", there.call(-7), (wire.UNKNOWN_METHOD, b""))
        same("handler failure", there.call(FAIL, b"x"), (wire.FAILURE, b""))
        for status in (1, 2, 3, 4, 5, 6, 7, 9, 42, 255, -1):
            body = struct.pack("<i", status)
            same(f"failure with status {status}", there.call(STATUS, body), (status, b""))
        same("the connection lives on", there.call(ECHO, b"!"), (wire.SUCCESS, b"!"))


def numbers(path):
    with Connection(path) as there:
        for sequence in (0, 5, -2, 1 << 62):
            there.sequence = sequence - 1
            same(f"sequence {sequence}", there.call(ECHO, b"n"), (wire.SUCCESS, b"n"))


def no_calls(path):
    with Connection(path) as there:
        for bytes_ in (b"\xff\xff\xff\xff", b"\x22\x05abc", b"\x08"):
            wire.send(there.sock, bytes_)
            got = there.answer(-1)
            same(f"{bytes_.hex()} is no call", got, (wire.FAILED_UNMARSHAL_CALL, b""))
        same("and the session goes on", there.call(ECHO, b"!"), (wire.SUCCESS, b"!"))
        call = wire.Call(module=MODULE, method=ECHO, sequence=9, body=b"u").SerializeToString()
        wire.send(there.sock, call + b"\x7a\x02hi" + b"\xf8\x01\x05")
        same("unknown fields are skipped", there.answer(9), (wire.SUCCESS, b"u"))
        wire.send(there.sock, b"")
        same("a message of no bytes", there.answer(0), (wire.UNKNOWN_MODULE, b""))


def odd_cuts(path):
    """What no sender does and a receiver takes."""
    call = wire.Call(module=MODULE, method=ECHO, sequence=1, body=b"cut").SerializeToString()
    half = len(call) // 2
    cuts = {
        "one byte in each chunk": [call[at : at + 1] for at in range(len(call))],
        "a chunk without data first": [b"", call],
        "a chunk without data between": [call[:half], b"", call[half:]],
        "a chunk without data last": [call, b""],
    }
    for what, pieces in cuts.items():
        with Connection(path) as there:
            for index, piece in enumerate(pieces):
                there.sock.send(wire.packet(piece, len(call), index=index, chunks=len(pieces)))
            same(what, there.answer(1), (wire.SUCCESS, b"cut"))


def bad_frames(path):
    call = wire.Call(module=MODULE, method=ECHO, sequence=1, body=b"0123456789").SerializeToString()
    size = len(call)
    first = wire.packet(call[:8], size, chunks=2)
    rest = call[8:]
    big = ">QQII"
    full = bytes(wire.DATA)
    frames = {
        "one byte": [b"\x00"],
        "23 bytes": [wire.packet(b"")[:23]],
        "a bare call of 2.6": [call],
        "a long bare call of 2.6": [b"\x08\x64\x10\x01\x18\x01\x22\x40" + bytes(64)],
        "no chunks": [wire.packet(call, chunks=0)],
        "no chunks and no bytes": [wire.packet(b"", chunks=0)],
        "first chunk is number 1": [wire.packet(call, index=1, chunks=2)],
        "index equal to the count": [wire.packet(call, index=1, chunks=1)],
        "index repeated": [first, wire.packet(rest, size, index=0, chunks=2)],
        "index skipped": [wire.packet(call[:8], size, chunks=3),
                          wire.packet(rest, size, index=2, chunks=3)],
        "count grows": [first, wire.packet(rest, size, index=1, chunks=3)],
        "count shrinks": [first, wire.packet(rest, size, index=1, chunks=1)],
        "total grows": [first, wire.packet(rest, size + 1, index=1, chunks=2)],
        "total shrinks": [first, wire.packet(rest, size - 1, index=1, chunks=2)],
        "data said longer than the packet": [wire.packet(call, size + 50, size=size + 50)],
        "data said longer than a packet may be": [wire.packet(call, 1 << 20, size=1 << 20)],
        "data said shorter than the packet": [wire.packet(call + b"more", size, size=size)],
        "packet of 131,073 bytes": [wire.packet(full + b"x")],
        "packet of 200,000 bytes": [wire.packet(bytes(200_000 - 24))],
        "too much in the first chunk": [wire.packet(call, size - 1)],
        "too much in the second chunk": [first, wire.packet(rest + b"x", size, index=1, chunks=2)],
        "too little in one chunk": [wire.packet(call, size + 1)],
        "too little in two chunks": [first, wire.packet(rest[:-1], size, index=1, chunks=2)],
        "a total over every limit": [wire.packet(call, (1 << 62), chunks=2)],
        "the largest total": [wire.packet(call, (1 << 64) - 1, chunks=2)],
        "header in big-endian": [wire.struct.pack(big, size, size, 0, 1) + call],
    }
    for what, packets in frames.items():
        with Connection(path) as there:
            for packet in packets:
                there.sock.send(packet)
            there.closed()
            with Connection(path) as other:
                assert other.call(ECHO, b"?") == (wire.SUCCESS, b"?"), f"after: {what}"
            passes(f"bad frame, {what}: closed without an answer")
    with Connection(path) as there, Connection(path) as other:
        there.sock.send(b"")
        there.closed()
        same("a packet of no bytes ends a session", other.call(ECHO, b"?"), (wire.SUCCESS, b"?"))
    with Connection(path) as there:
        there.sock.send(first)
        # Stopped in the middle of a message.
        with Connection(path) as other:
            same("a stalled one holds up nobody", other.call(ECHO, b"?"), (wire.SUCCESS, b"?"))
        there.sock.send(wire.packet(rest, size, index=1, chunks=2))
        same("and may go on", there.answer(1), (wire.SUCCESS, b"0123456789"))
    with Connection(path) as there:
        there.sock.send(first)
    with Connection(path) as there:
        same("left in the middle of a message", there.call(ECHO, b"?"), (wire.SUCCESS, b"?"))


def pipeline(path):
    with Connection(path) as there:
        for sequence in range(1, 11):
            call = wire.Call(module=MODULE, method=ECHO, sequence=sequence, body=b"p")
            wire.send(there.sock, call.SerializeToString())
        got = [there.answer(sequence) for sequence in range(1, 11)]
        same("ten calls ahead, answered in their order", got, [(wire.SUCCESS, b"p")] * 10)


def at_once(path):
    got = []

    def one(number):
        body = wire.letters(1000 * number)
        with Connection(path) as there:
            together = there.call(TOGETHER, b"%d" % number)
            got.append((together, there.call(ECHO, body) == (wire.SUCCESS, body)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = sorted(((wire.SUCCESS, b"%d" % number), True) for number in range(PARALLEL))
    same(f"{PARALLEL} connections at once", sorted(got), wanted)


def hang_ups(path):
    call = wire.Call(module=MODULE, method=ECHO, sequence=1, body=bytes(1 << 20))
    for _ in range(20):
        with Connection(path) as there:
            wire.send(there.sock, call.SerializeToString())
    with Connection(path) as there:
        same("twenty that want no answer", there.call(ECHO, b"?"), (wire.SUCCESS, b"?"))


def main():
    (path,) = sys.argv[1:]
    for checks in (bodies, statuses, numbers, no_calls, odd_cuts, bad_frames, pipeline, at_once, hang_ups):
        checks(path)
    print(f"{passed} checks passed")


if __name__ == "__main__":
    main()
