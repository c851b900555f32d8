"""`edsr-int8 verify` against what `dvc repro` runs next, on a quick pipeline. Tests run in order."""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dvc.cli
import pytest
from dvc.data_cloud import DataCloud
from stub_project import make_stub, set_seed

from edsr_int8.__main__ import main
from edsr_int8.pipeline.verify import verify

pytestmark = pytest.mark.slow

MADE = Path("build/made/a/0.txt")
FIT = "code, data, cache and locks fit"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After its first `dvc repro`; its remote is a folder."""
    path = tmp_path_factory.mktemp("verify") / "one"
    make_stub(path)
    return path


@pytest.fixture(autouse=True)
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(root.parent / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    yield


def faults(**options: object) -> list[str]:
    return list(verify(Path(), **options))  # type: ignore[arg-type]


def repro(caplog: pytest.LogCaptureFixture, *options: str) -> list[str]:
    """The stages that ran."""
    caplog.clear()
    assert dvc.cli.main(["repro", *options]) == 0
    return re.findall(r"Running stage '(?:.*:)?(.*)'", "\n".join(caplog.messages))


def flip(path: Path) -> None:
    """One bit, in place, by a hand that DVC does not see: the file keeps its time and length."""
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        byte = file.read(1)[0]
        file.seek(0)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def unreachable(*_: object) -> None:
    """As botocore, whose exceptions are none of DVC's and none of Python's for files."""
    raise Exception("Could not connect to the endpoint\nURL")


def test_before_the_first_run_everything_would_run(caplog: pytest.LogCaptureFixture) -> None:
    assert [line.split(":")[0] for line in faults()] == ["report", "make@a", "make@b", "make@c"]
    assert sorted(repro(caplog)) == ["make@a", "make@b", "make@c", "probe", "report"]


def test_after_a_run_all_fits_and_a_second_run_only_probes(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 0
    assert capfd.readouterr().out == f"{FIT}: dvc repro would run nothing but the probe\n"
    assert main(["verify", "--allow-missing"]) == 0
    assert capfd.readouterr().out == f"{FIT}: dvc repro --allow-missing would run nothing but the probe\n"
    assert repro(caplog) == ["probe"]


def test_a_byte_that_dvc_does_not_see_is_found_and_then_made_again(caplog: pytest.LogCaptureFixture) -> None:
    good = MADE.read_bytes()
    MADE.rename(MADE.with_suffix(".old"))
    MADE.write_bytes(MADE.with_suffix(".old").read_bytes())  # no link into the cache
    MADE.with_suffix(".old").unlink()
    assert repro(caplog) == ["probe"]
    flip(MADE)
    assert repro(caplog) == ["probe"]  # DVC goes by time and length
    report, make = faults()
    assert make == "make@a: would run: build/made/a is modified"
    assert report == "report: would run: build/made is modified"
    repro(caplog)
    assert MADE.read_bytes() == good and faults() == []


def test_a_byte_that_is_wrong_in_the_cache_too_comes_with_a_remedy_that_works(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    good = MADE.read_bytes()
    assert MADE.stat().st_nlink == 2
    flip(MADE)
    assert main(["verify"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert "error: make@a: would run: build/made/a is modified" in said
    [line] = [line for line in said if "is damaged" in line]
    remedy = re.search(rf"\({MADE}\): is damaged; (rm -f \S+ {MADE}), then dvc repro$", line)
    assert remedy
    subprocess.run(remedy[1], shell=True, check=True)
    assert sorted(repro(caplog)) == ["make@a", "probe"]  # which gives the same bytes: `report` need not run
    assert MADE.read_bytes() == good and faults() == []


def test_damage_in_the_cache_alone_is_found(caplog: pytest.LogCaptureFixture) -> None:
    set_seed(Path(), 1)
    repro(caplog)
    set_seed(Path(), 0)
    assert "make@a" not in repro(caplog) and faults() == []
    known = {path.stat().st_ino for path in Path("build").rglob("*")}
    cached = (path for path in Path(".dvc/cache/files/md5").rglob("*") if path.is_file())
    others = (path for path in cached if path.stat().st_ino not in known)
    [other] = (path for path in others if path.read_bytes().startswith(b"b 1 2\n"))
    good = other.read_bytes()
    flip(other)
    assert faults() == [f"{other}: is damaged; rm -f {other}, then dvc repro"]
    other.chmod(0o644)
    other.write_bytes(good)


@pytest.mark.parametrize(
    ("path", "text", "said", "ran"),
    [
        ("params.json", '{"seed": 5}', ["make@a: would run: params.json: seed is modified"], "make@c"),
        ("results/sum.json", "[]", ["report: would run: results/sum.json is modified"], "report"),
        ("src/edsr_int8/files.py", None, ["make@b: would run: its code is modified (src/edsr_"], "report"),
        ("src/edsr_int8/export.py", None, [], "probe"),
        ("dvc.lock", "schema: '2.0'\n", ["report: would run: "], "report"),
    ],
)  # fmt: skip
def test_what_it_says_is_what_then_runs(
    path: str, text: str | None, said: list[str], ran: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = Path(path).read_text()
    Path(path).write_text(before + "# more\n" if text is None else text)
    told = faults()
    assert all(any(line.startswith(start) for line in told) for start in said) and bool(told) == bool(said), (
        told
    )
    assert (ran in repro(caplog)) and faults() == []
    if path not in ("results/sum.json", "dvc.lock"):
        Path(path).write_text(before)
        repro(caplog)
    assert faults() == []


def test_a_lock_cut_short_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    whole = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(whole[:50])
    assert faults() == ["dvc.lock: is empty or cut short; run edsr-int8 check, which puts it right"]
    Path("dvc.lock").write_bytes(whole)


def test_the_remote_and_a_clone_that_computes_nothing(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = root.parent / "store"
    assert dvc.cli.main(["remote", "add", "-q", "-d", "store", str(store)]) == 0
    [line] = faults()
    assert re.match(r"not in the remote: \d+ files \(build/.* and \d+ more\); dvc push --run-cache$", line)
    assert dvc.cli.main(["push", "-q", "--run-cache"]) == 0 and faults() == []
    with monkeypatch.context() as without_network:
        without_network.setattr(DataCloud, "get_remote_odb", unreachable)
        assert faults() == ["remote: cannot be asked: Could not connect to the endpoint URL"]
    digest = hashlib.md5(MADE.read_bytes()).hexdigest()
    stored = store / "files" / "md5" / digest[:2] / digest[2:]
    flip(stored)
    assert faults() == [f"{stored}: is damaged; delete it, then edsr-int8 verify again"]
    stored.unlink()
    lacking, listing = faults()
    assert lacking == f"not in the remote: 1 files ({MADE}); dvc push --run-cache"
    Path(listing.removesuffix(": lists files that are not there; delete it before the push")).unlink()
    assert dvc.cli.main(["push", "-q", "--run-cache"]) == 0 and faults() == []
    git = ["git", "-c", "user.name=a user", "-c", "user.email=user@example.org"]
    for command in (["add", "-A"], ["commit", "-qm", "results"], ["clone", "-q", ".", "../two"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.chdir(root.parent / "two")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(root.parent / "site2"))
    assert faults() != []
    assert dvc.cli.main(["pull", "-q", "--run-cache", "--allow-missing"]) == 0
    assert repro(caplog, "--allow-missing") == ["probe"]
    assert faults() == [] and MADE.read_bytes() == (root / MADE).read_bytes()
    Path("results/sum.json").unlink()
    assert faults(allow_missing=True) == [] and repro(caplog, "--allow-missing") == ["probe"]
    assert faults() == ["report: would run: results/sum.json is deleted"]
