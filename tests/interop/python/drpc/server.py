"""A dRPC server, well behaved in module 100 and not at all in module 101.

usage: server.py SOCKET

Module 100: 1 echo, 2 success without a body, 3 failure, 4 the status that the body says as a
little-endian int32, 5 answers when 32 calls are there, 6 the number of the call as text.
Module 101: method N answers with the bad packets number N of `ODD`.
"""

import socket
import struct
import sys
import threading

import wire

PARALLEL = 32
TOGETHER = threading.Barrier(PARALLEL)


def fail(status):
    return wire.Response(status=status)


def good(call):
    """The answer, still without its number."""
    if call.method == 1:
        return wire.Response(body=call.body)
    if call.method == 2:
        return wire.Response()
    if call.method == 3:
        return fail(wire.FAILURE)
    if call.method == 4:
        return fail(struct.unpack("<i", call.body)[0])
    if call.method == 5:
        TOGETHER.wait(wire.PATIENCE)
        return wire.Response(body=call.body)
    if call.method == 6:
        return wire.Response(body=str(call.sequence).encode())
    return fail(wire.UNKNOWN_METHOD)


def response(sequence, status=0, body=b"0123456789"):
    message = wire.Response(sequence=sequence, status=status, body=body)
    return message.SerializeToString()


def in_two(message, total=None, index=1, chunks=2, rest=None):
    """Two chunks, of which the second may say and hold something else."""
    size = len(message)
    rest = message[8:] if rest is None else rest
    first = wire.packet(message[:8], size, chunks=2)
    return [first, wire.packet(rest, size if total is None else total, index=index, chunks=chunks)]


# What a server might do, as packets after a call of this number; the last is the end.
ODD = [
    lambda n: [],
    lambda n: [b"\x00"],
    lambda n: [wire.packet(b"")[:23]],
    lambda n: [b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x05"],
    lambda n: [wire.packet(response(n), chunks=0)],
    lambda n: [wire.packet(response(n), index=1, chunks=2)],
    lambda n: in_two(response(n), index=0),
    lambda n: in_two(response(n), chunks=3),
    lambda n: in_two(response(n), total=99),
    lambda n: [wire.packet(response(n), 500, size=500)],
    lambda n: [wire.packet(response(n) + b"more", len(response(n)), size=len(response(n)))],
    lambda n: [wire.packet(bytes(wire.DATA + 1))],
    lambda n: [wire.packet(response(n), len(response(n)) - 1)],
    lambda n: in_two(response(n), rest=response(n)),
    lambda n: [wire.packet(response(n), len(response(n)) + 1)],
    lambda n: [wire.packet(response(n), 1 << 62, chunks=2)],
    lambda n: [struct.pack(">QQII", 16, 16, 0, 1) + response(n)],
    lambda n: in_two(response(n))[:1],
    lambda n: [wire.packet(b"\xff\xff\xff\xff")],
    lambda n: [wire.packet(response(n + 1))],
    lambda n: [wire.packet(response(-1))],
    lambda n: [wire.packet(b"")],
    lambda n: [wire.packet(response(-1, wire.FAILED_UNMARSHAL_CALL, b""))],
]


def serve(sock):
    sock.settimeout(None)
    with sock:
        while True:
            try:
                message = wire.receive(sock)
            except ConnectionResetError:
                # A client that wanted no answer.
                return
            if message is None:
                return
            call = wire.Call.FromString(message)
            canonical = call.SerializeToString(deterministic=True)
            if message != canonical:
                raise wire.BadFrame("not encoded as protobuf's own encoder does")
            if call.module == 101:
                for packet in ODD[call.method](call.sequence):
                    sock.send(packet)
                return
            answer = good(call) if call.module == 100 else fail(wire.UNKNOWN_MODULE)
            answer.sequence = call.sequence
            try:
                wire.send(sock, answer.SerializeToString())
            except (BrokenPipeError, ConnectionResetError):
                return


def main():
    (path,) = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(128)
    print(f"listening, {len(ODD)} oddities", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
