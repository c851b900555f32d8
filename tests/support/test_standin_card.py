"""`dvc repro` of the card preset, offline: mistakes are told, what was good is not fetched again.

One of its rows, so that it takes seconds: its weights come from Google Drive, by the mirror. Without
DVC's processes all rows run in test_whole_card.py. Tests run in order.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from http_server import Server, serving
from project import Project, make_project
from standin_card import Tree, bodies, div2k_lr, keep, publish, standin

MODELS = ("EDSR_Mx2",)
NAMES = ("0801", "0802")


@dataclass
class Card:
    project: Project
    tree: Tree
    right: dict[str, bytes]  # what each row should bring
    server: Server

    def publish(self, download: str, body: bytes) -> None:
        publish(self.tree, download, body, self.server.files, self.server.url())
        self.project.write_params(self.tree)

    def sent(self) -> Counter[str]:
        """How often each file was sent from its beginning to its end."""
        return Counter(path for path, status, _ in self.server.log if status == 200)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    """With a typo in one hash, and an archive of the wrong scale."""
    project = make_project(tmp_path_factory.mktemp("card") / "card")
    project.environment["NO_PROXY"] = "127.0.0.1"
    tree = standin(MODELS)
    keep(tree, "precisions", ["fp32"])  # test_pipeline.py runs int8
    with serving({}) as server:
        made = Card(project, tree, bodies(tree), server)
        tree["mirror"] = server.url("mirror")
        tree["fid"] = {"weights": "fid/inception.pth", "sha256": "6726825d", "patch": 16}
        for name, body in made.right.items():
            made.publish(name, body)
        made.publish("div2k_valid_lr_x2", div2k_lr("valid", NAMES, 2, made_at=4))
        tree["downloads"]["edsr_mx2"]["sha256"] = "0" * 8
        project.write_params(tree)
        yield made


def table(card: Card) -> list[dict[str, str]]:
    with (card.project.folder / "results" / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_typo_in_a_hash_stops_at_its_row(card: Card) -> None:
    text = card.project.dvc("repro", "fetch", fails=True)
    assert "error: downloads.edsr_mx2: EDSR_Mx2_f64b16_DIV2K_official-3ba7b086.pth: no source gave it" in text
    assert "expected 00000000" in text and "Traceback" not in text


def test_an_archive_of_the_wrong_scale_is_told(card: Card) -> None:
    card.publish("edsr_mx2", card.right["edsr_mx2"])
    text = card.project.dvc("repro", fails=True)
    assert "error: datasets.div2k_x2: hr is not 2 times as wide and high as lr: " in text
    assert "0801 (hr 48x48, lr 12x12), 0802 (hr 48x48, lr 12x12); check scale" in text
    assert "Traceback" not in text


def test_an_archive_that_lacks_an_image_is_told(card: Card) -> None:
    card.publish("div2k_valid_lr_x2", div2k_lr("valid", NAMES[:1], 2))
    text = card.project.dvc("repro", fails=True)
    assert "error: datasets.div2k_x2: images without a partner: " in text and "/0802.png" in text
    assert "Traceback" not in text


def test_the_corrected_card_goes_on_to_its_table(card: Card) -> None:
    before = card.sent()
    card.publish("div2k_valid_lr_x2", card.right["div2k_valid_lr_x2"])
    card.project.repro()
    assert sum((card.sent() - before).values()) == 1  # the corrected archive
    assert set(card.sent().values()) == {1}
    rows = table(card)
    found = {(r["model"], r["precision"], r["dataset"], r["protocol"]) for r in rows}
    assert found == {
        (model, precision, dataset, protocol)
        for model, row in card.tree["models"].items()
        for precision in card.tree["precisions"]
        for dataset in row["evaluation"]
        for protocol in row["protocols"]
    }
    assert {r["status"] for r in rows} == {"ok"} and all(r["psnr_db"] for r in rows)


def test_fid_without_weights_is_skipped_with_a_word(card: Card) -> None:
    text = (card.project.folder / "results" / "table.md").read_text()
    assert "fid: skipped: no Inception weights at fid/inception.pth" in text.splitlines()
