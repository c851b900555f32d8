import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.cluster.shipped import Shipped
from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import sha256
from edsr_int8.metrics.fid.frechet import Fid
from edsr_int8.metrics.fid.inception import inception, load_features
from edsr_int8.metrics.fid.requested import Inception, RequestedFid, requested_fid


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made weights under the network's names, from a generator whose numbers numpy never changes."""
    random = np.random.RandomState(0)
    state = {}
    for name, tensor in sorted(inception().state_dict().items()):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
            continue
        if name.endswith("running_var"):
            values = random.uniform(0.5, 1.5, tensor.shape)
        elif tensor.ndim == 4:
            values = random.standard_normal(tensor.shape) * np.sqrt(2 / np.prod(tensor.shape[1:]))
        else:
            values = random.standard_normal(tensor.shape) * 0.1 + name.endswith("bn.weight")
        state[name] = torch.from_numpy(values).float()
    path = tmp_path_factory.mktemp("inception") / "made.pth"
    torch.save(state, path)
    return path


def test_names_and_shapes_are_torchvisions():
    """The digest was taken of torchvision 0.28.0's inception_v3(num_classes=1008, aux_logits=False)."""
    shapes = sorted((name, tuple(tensor.shape)) for name, tensor in inception().state_dict().items())
    text = "".join(f"{name} {shape}\n" for name, shape in shapes)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "eeafab116b1cf3f08243d1931ba765f5601f57773ada5fcfee37024cf0ca23e4"


def test_parameters_are_as_many_as_torchvision_publishes():
    """27,161,264 with 1000 classes and the auxiliary head; that head has 3,326,696; 8 more classes."""
    count = sum(parameter.numel() for parameter in inception().parameters())
    assert count == 27_161_264 - 3_326_696 + 8 * (2048 + 1)


def test_features_equal_those_of_pytorch_fid(weights):
    """Computed once with pytorch-fid 0.3.0's own InceptionV3 and these weights on these patches."""
    patches = np.random.RandomState(1).randint(0, 256, (2, 64, 48, 3)).astype(np.uint8)
    patches[1] = np.linspace(0, 255, 64 * 48 * 3).reshape(64, 48, 3)
    features = load_features(weights, sha256="")(patches)
    assert features.shape == (2, 2048)
    expected = [
        [0.0931, 0.27339, 4.07252, 1.57665, 6.50318, 0.49015, 0.0, 0.25359,
         0.00408, 3.92475, 0.62582, 1.47587, 5.88734, 0.88513, 0.0, 0.60686],
        [0.16871, 0.27798, 3.01266, 1.42199, 3.85263, 0.37002, 0.0, 0.1451,
         0.0, 2.64141, 0.45543, 1.21905, 3.66012, 0.3994, 0.0, 0.30593],
    ]  # fmt: skip
    np.testing.assert_allclose(features[:, ::128], expected, atol=1e-3)
    np.testing.assert_allclose(features.mean(axis=1), [1.98619, 1.30675], atol=1e-4)


def probed(weights: Path, *, sha256: str = "", here: bool = True) -> RequestedFid:
    return RequestedFid(str(weights), sha256, patch=64, patches=0, here=here)


def test_folders_go_through_the_network_where_the_weights_are_at_hand(weights, tmp_path):
    """Two flat patches a side have no spread: the distance is that of their features, whichever they are."""
    for folder, grey in (("outputs", 90), ("references", 150)):
        write_png(tmp_path / folder / "x.png", np.full((64, 130, 3), grey, np.uint8))
    found = requested_fid(probed(weights, sha256=sha256(weights)))(
        tmp_path / "outputs", tmp_path / "references"
    )
    features = load_features(weights, sha256="")
    one, other = (features(np.full((1, 64, 64, 3), grey, np.uint8))[0] for grey in (90, 150))
    assert found.patches == 2
    assert found.distance == pytest.approx(np.square(one - other).sum(), rel=1e-3)


def test_no_section_asks_for_nothing():
    assert requested_fid(None) is None


def test_missing_weights_skip_with_a_reason(tmp_path):
    found = requested_fid(probed(tmp_path / "absent.pth", here=False))(tmp_path, tmp_path)
    assert found == Fid(None, 0, f"no Inception weights at {tmp_path / 'absent.pth'}")


def test_other_weights_are_refused(weights, tmp_path):
    with pytest.raises(InputError, match=rf"^{weights}: sha256 .*expected 6726825d"):
        load_features(weights, sha256="6726825d")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "none.pth").write_bytes(b"not a checkpoint")
    for name in ("other.pth", "none.pth"):
        with pytest.raises(InputError, match=f"^{tmp_path / name}: does not hold"):
            load_features(tmp_path / name, sha256="")


def test_the_weights_travel_with_the_network(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"not a checkpoint")
    network = Inception(Shipped(tmp_path / "weights.pth"), sha256="")
    arrived = pickle.loads(pickle.dumps(network))
    (tmp_path / "weights.pth").unlink()
    with pytest.raises(InputError, match=f"^{tmp_path / 'weights.pth'}: does not hold"):
        arrived(np.zeros((1, 64, 64, 3), np.uint8))
