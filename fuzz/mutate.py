"""Damage, by chance and by knowledge of a format: each function makes other bytes of good ones.

Formats with checksums are changed inside and get right checksums again: otherwise a reader would stop there,
and what lies behind would never be tried.
"""

import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from random import Random

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
INTEGERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 5, 64, 1000, 2**20, 2**31 - 1, 2**40, 2**63 - 1)
# Of a tar header: name, mode, length, type, link, magic, prefix; each begin and length.
TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))
WORDS = (
    *("", "0", "-1", "1e999", "nan", ".inf", "9" * 400, "true", "null", "~nosuchuser/x", "../..", "\x00"),
    *("\n", "[" * 900, "{}", "[]", "&a [*a]", "!!python/object:os.system x", "2026-99-99", "http://[::1"),
    *("'", '"', "\\", "\x1b[2J", "ÿ", "\ud800", "0x10", "1_000", "*", "**", "%00", "1e-400", "-0"),
    *("a" * 3000, str(2**64)),
)


def mutated(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """One to four changes at random places: bits, numbers, bytes cut, moved, repeated, or another file's."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = _place(random, len(data))
        match random.randrange(8):
            case 0 | 1 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 2:
                number, width = random.choice(NUMBERS), random.choice((1, 2, 4, 8))
                order = random.choice(("big", "little"))
                data[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + random.randrange(1, 64)]
            case 5:
                data[at:at] = data[at : at + random.randrange(1, 200)] * random.choice((1, 2, 50))
            case 6:
                other = random.choice(others)
                start = _place(random, len(other))
                data[at : at + random.randrange(64)] = other[start : start + random.randrange(200)]
            case _:
                data[at:at] = random.randbytes(random.randrange(1, 20))
    return bytes(data)


def _place(random: Random, length: int) -> int:
    """Half of the places lie near an end, where formats have their heads and directories."""
    if length < 1024 or random.random() < 0.5:
        return random.randrange(max(1, length))
    return random.choice((random.randrange(512), length - 1 - random.randrange(512)))


def zip_records(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A zip archive in which a record, or its name, is another, with right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    chosen = random.randrange(len(records))
    name, data = records[chosen]
    if random.random() < 0.1:
        name = text(random, name.encode()).decode(errors="replace").replace("\x00", "")
    records[chosen] = name, mutated(random, data, [record for _, record in records])
    if random.random() < 0.05:
        records.pop(random.randrange(len(records)))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if random.random() < 0.05 else 0) as archive:
        for name, data in records:
            archive.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def png_chunks(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A PNG with other chunks, and right checksums."""
    chunks, at = [], 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    chosen = random.randrange(len(chunks))
    kind, data = chunks[chosen]
    match random.randrange(6):
        case 0:
            chunks.pop(chosen)
        case 1:
            chunks.insert(random.randrange(len(chunks)), chunks[chosen])
        case 2:
            rows = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
            some = (
                mutated(random, rows, [rows])
                if random.random() < 0.5
                else rows[: random.randrange(len(rows))]
            )
            chunks = [c for c in chunks if c[0] not in (b"IDAT", b"IEND")]
            chunks += [(b"IDAT", zlib.compress(some)), (b"IEND", b"")]
        case 3:
            head = bytearray(chunks[0][1])
            head[random.randrange(len(head))] = random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
            chunks[0] = (b"IHDR", bytes(head))
        case _:
            chunks[chosen] = kind, mutated(random, data, others)
    made = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return content[:8] + b"".join(made)


def tar_headers(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A tar file with other fields in a header, and its checksum right."""
    data = bytearray(content)
    starts = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    for at in random.choices(starts, k=random.choice((1, 2))):
        begin, length = random.choice(TAR_FIELDS)
        value = random.choice((
            random.choice((b"0", b"5", b"x", b"g", b"L", b"K", b"S", b"7", b"\0")),
            random.choice(WORDS).encode(errors="replace"), b"%011o" % random.choice(NUMBERS),
            b"\x80" + random.randbytes(11), b"\xff" * 12,
        ))  # fmt: skip
        data[at + begin : at + begin + length] = value[:length].ljust(length, b"\0")
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + tarfile.BLOCKSIZE])
    return bytes(data)


def graph(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """An ONNX file with other nodes, attributes, shapes, types or weights."""
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        return content
    for _ in range(random.choice((1, 1, 2, 3))):
        _change(random, model.graph, random.choice((_node, _attribute, _weight, _end)))
    return model.SerializeToString()


def _change(random: Random, found: onnx.GraphProto, change) -> None:  # type: ignore[no-untyped-def]
    if found.node and found.initializer and found.input:
        change(random, found)


def _node(random: Random, found: onnx.GraphProto) -> None:
    node, other = random.choice(found.node), random.choice(found.node)
    match random.randrange(7):
        case 0:
            node.op_type = random.choice(
                (other.op_type, "Softmax", "Loop", "If", "ConvTranspose", "Nothing", "Resize")
            )
        case 1 if node.input:
            del node.input[random.randrange(len(node.input)) :]
        case 2 if node.output:
            del node.output[:]
        case 3 if node.input and other.output:
            node.input[random.randrange(len(node.input))] = random.choice((other.output[0], "", "nothing"))
        case 4:
            found.node.remove(node)
        case 5:
            found.node.add().CopyFrom(other)
        case _ if other.input:
            node.input.append(random.choice(other.input))


def _attribute(random: Random, found: onnx.GraphProto) -> None:
    if not (nodes := [node for node in found.node if node.attribute]):
        return
    node = random.choice(nodes)
    attribute = random.choice(node.attribute)
    match random.randrange(4):
        case 0 if attribute.ints:
            attribute.ints[random.randrange(len(attribute.ints))] = random.choice(INTEGERS)
        case 1:
            attribute.i = random.choice(INTEGERS)
        case 2:
            node.attribute.remove(attribute)
        case _:
            attribute.type = random.randrange(0, 14)  # type: ignore[assignment]


def _weight(random: Random, found: onnx.GraphProto) -> None:
    tensor = random.choice(found.initializer)
    match random.randrange(5):
        case 0 if tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(INTEGERS)
        case 1:
            tensor.data_type = random.randrange(0, 26)
        case 2 if tensor.raw_data:
            tensor.raw_data = mutated(random, tensor.raw_data, [tensor.raw_data])
        case 3:
            numbers = (float("nan"), float("inf"), 0.0, -1.0, 1e-40, 3e38)
            count = len(tensor.raw_data) // 4
            tensor.raw_data = struct.pack("<f", random.choice(numbers)) * count
        case _:
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", random.choice(("/etc/passwd", "../x", "x", "/dev/zero"))


def _end(random: Random, found: onnx.GraphProto) -> None:
    value = random.choice((*found.input, *found.output))
    shape = value.type.tensor_type.shape
    match random.randrange(4):
        case 0 if shape.dim:
            random.choice(shape.dim).dim_value = random.choice(INTEGERS)
        case 1 if shape.dim:
            shape.dim.pop()
        case 2:
            value.type.tensor_type.elem_type = random.randrange(0, 26)
        case _:
            found.input.add().CopyFrom(random.choice(found.output))


def text(random: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Text with a word, a number, a line or a character that is another."""
    found = content.decode(errors="replace")
    for _ in range(random.choice((1, 1, 2, 3))):
        words = list(re.finditer(r"[^\s:,{}\[\]\"']+", found)) or list(re.finditer("", found))
        match random.randrange(5):
            case 0 | 1 | 2:
                word = random.choice(words)
                found = found[: word.start()] + random.choice(WORDS) + found[word.end() :]
            case 3:
                lines = found.splitlines(keepends=True) or [""]
                at = random.randrange(len(lines))
                lines[at] = random.choice(("", lines[at] * 2, " " + lines[at], random.choice(lines)))
                found = "".join(lines)
            case _:
                at = random.randrange(len(found) + 1)
                found = (
                    found[:at]
                    + chr(random.choice((0, 9, 34, 39, 45, 48, 58, 91, 123, 255)))
                    + found[at + 1 :]
                )
    return found.encode(errors="surrogatepass")
