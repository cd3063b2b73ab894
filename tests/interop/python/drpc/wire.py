"""The wire of DAOS dRPC: packets on SOCK_SEQPACKET sockets, and the two messages in them.

Nothing here is taken from oneport: whoever reads this has a second opinion of the protocol.
"""

import socket
import struct

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKET = 1 << 17
HEADER = struct.Struct("=QQII")
DATA = PACKET - HEADER.size

SUCCESS = 0
FAILURE = 2
UNKNOWN_MODULE = 3
UNKNOWN_METHOD = 4
FAILED_UNMARSHAL_CALL = 5

# The far end hangs if it takes longer than this for a packet.
PATIENCE = 60.0


def _messages():
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="drpc_peer.proto", package="drpc", syntax="proto3"
    )
    fields = {
        "Call": [
            ("module", field.TYPE_INT32),
            ("method", field.TYPE_INT32),
            ("sequence", field.TYPE_INT64),
            ("body", field.TYPE_BYTES),
        ],
        # The status is an open enum: on the wire an int32 like any other.
        "Response": [
            ("sequence", field.TYPE_INT64),
            ("status", field.TYPE_INT32),
            ("body", field.TYPE_BYTES),
        ],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for number, (member, kind) in enumerate(members, start=1):
            message.field.add(
                name=member, number=number, type=kind, label=field.LABEL_OPTIONAL
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName("drpc." + name))
        for name in fields
    ]


Call, Response = _messages()


class BadFrame(Exception):
    """The far end sent a packet that the protocol does not have."""


def packet(data, total=None, size=None, index=0, chunks=1):
    """One packet; what is not said is as it should be for a message of one chunk."""
    size = len(data) if size is None else size
    total = len(data) if total is None else total
    return HEADER.pack(total, size, index, chunks) + data


def cut(message):
    """The packets of a message: all full but the last, and at least one."""
    pieces = [message[at : at + DATA] for at in range(0, len(message), DATA)] or [b""]
    return [
        packet(piece, total=len(message), index=index, chunks=len(pieces))
        for index, piece in enumerate(pieces)
    ]


def send(sock, message):
    for whole in cut(message):
        if sock.send(whole) != len(whole):
            raise BadFrame("a packet was cut")


def receive(sock):
    """The next message; None at the end. Holds the sender to the exact cut."""
    pieces = []
    while True:
        got = sock.recv(PACKET + 1)
        if not got:
            if pieces:
                raise BadFrame(f"the end after {len(pieces)} chunks")
            return None
        if not HEADER.size <= len(got) <= PACKET:
            raise BadFrame(f"packet of {len(got)} bytes")
        total, size, index, chunks = HEADER.unpack_from(got)
        data = got[HEADER.size :]
        expected = max(1, -(-total // DATA))
        if (size, index, chunks) != (len(data), len(pieces), expected):
            raise BadFrame(f"header {total} {size} {index} {chunks} on {len(data)} bytes")
        pieces.append(data)
        if len(pieces) < chunks:
            if len(data) != DATA:
                raise BadFrame(f"chunk {index} of {chunks} has {len(data)} bytes")
            continue
        message = b"".join(pieces)
        if len(message) != total:
            raise BadFrame(f"{len(message)} bytes of {total}")
        return message


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(PATIENCE)
    sock.connect(path)
    return sock


def letters(length):
    """A body in which no piece can be taken for another."""
    return (b"".join(b"%07d " % number for number in range(length // 8 + 1)))[:length]
