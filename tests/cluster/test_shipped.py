"""A file that travels: its contents arrive, and messages still name where it came from."""

import pickle
from pathlib import Path

import pytest

from edsr_int8.cluster.shipped import Shipped
from edsr_int8.errors import InputError


@pytest.fixture
def arrived(tmp_path: Path) -> Shipped:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a build")
    parcel = pickle.dumps(Shipped(path))
    path.unlink()
    return pickle.loads(parcel)


def test_the_contents_arrive_where_the_file_is_not(arrived: Shipped) -> None:
    with arrived.on_disk() as path:
        assert path.read_bytes() == b"a build" and path.name == "model.onnx"
    assert not path.exists()
    assert pickle.loads(pickle.dumps(arrived)) == arrived


def test_at_home_it_is_the_file_itself(tmp_path: Path) -> None:
    with Shipped(tmp_path / "x").on_disk() as path:
        assert path == tmp_path / "x"


def test_messages_name_the_file_of_origin(arrived: Shipped) -> None:
    with pytest.raises(InputError) as raised, arrived.on_disk() as path:
        raise InputError(f"{path}: is broken")
    assert str(raised.value) == f"{arrived.path}: is broken"
