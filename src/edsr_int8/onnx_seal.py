"""The checksum that an ONNX file of this project carries, so that a flipped byte is told and not run.

The last entry of the file's metadata holds the SHA-256 of all bytes before it. In protocol buffers, an entry
that is appended to the bytes of a message is added to the message: any reader of ONNX sees metadata, and the
sum is checked without parsing a thing.
"""

import hashlib

from onnx import ModelProto, StringStringEntryProto

KEY = "content_sha256"


def sealed(model: ModelProto) -> bytes:
    """The file of `model`, which has no checksum yet; equal models give equal bytes."""
    content = model.SerializeToString(deterministic=True)
    return content + _seal(content)


def is_as_sealed(content: bytes) -> bool:
    """Whether the file is as it was written. One without a checksum is: others write none."""
    end = len(content) - len(_seal(b""))
    return (end > 0 and content[end:] == _seal(content[:end])) or KEY.encode() not in content


def drop_seal(model: ModelProto) -> None:
    """Take the checksum, which is of one file alone, out of the metadata."""
    kept = [entry for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def _seal(content: bytes) -> bytes:
    entry = StringStringEntryProto(key=KEY, value=hashlib.sha256(content).hexdigest())
    return ModelProto(metadata_props=[entry]).SerializeToString(deterministic=True)
