"""Toy hospitals as real processes on loopback: NVFlare, mutual TLS, kits made by the test."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

pytest.importorskip("nvflare")

from histofed.federation.random_state import undisturbed
from histofed.federation.state import state_of
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.in_process import run_sites
from histofed.federation.transports.nvflare.members import CRASHES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
SITES = ("north", "south", "west-2")
SIZES = {"north": 12, "south": 8, "west-2": 20}
ROUNDS = 4
WAIT_S = 300
"""For a whole run, on a machine with much else to do."""

MAKE_KITS = """
import sys
from pathlib import Path
from histofed.federation.transports.nvflare.kits import Network, make_kits
make_kits(Network(host="localhost", port=int(sys.argv[1]), sites=sys.argv[3:]), Path(sys.argv[2]))
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Federation:
    """Kits, and the processes that a test starts with them."""

    def __init__(self, folder: Path, start, port: int) -> None:
        self.folder, self._start, self.port = folder, start, port
        self.kits = self.make_kits("kits")
        self.run = folder / "run"

    def make_kits(self, name: str) -> Path:
        kits = self.folder / name
        made = self._begin(f"make-{name}", "-c", MAKE_KITS, self.port, kits, *SITES)
        assert made.process.wait(60) == 0, made.said()
        return kits

    def serve(self, name: str = "serve", **options: object):
        return self._toy(name, "serve", self.kits / "server", self.run, **options)

    def join(self, site: str, *, kit: Path | None = None, name: str = "", **options: object):
        name = name or site
        kit = kit or self.kits / site
        return self._toy(name, "join", kit, self.folder / f"run-{name}", site=site, **options)

    def state(self) -> dict[str, torch.Tensor]:
        return torch.load(self.run / "fold-0.pt")

    def diary(self) -> str:
        file = self.run / "diary.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _toy(self, name: str, *command: object, **options: object):
        words = [f"{key}={value}" for key, value in options.items()]
        return self._begin(name, HERE / "toy_work.py", *command, *words)

    def _begin(self, name: str, *command: object):
        path = ":".join(map(str, (SOURCE, HERE.parent, HERE)))
        return self._start(name, *command, PYTHONPATH=path)


@pytest.fixture
def federation(tmp_path, start, port) -> Federation:
    return Federation(tmp_path, start, port)


def simulated(toy, sites=SITES) -> dict[str, torch.Tensor]:
    """Return the global model that the same toy hospitals make in one process.

    On one thread, as the processes of the hospitals: with more the last bit of a sum is another.
    """
    bodies = {
        site: toy.site(
            site, n=SIZES[site], seed=SITES.index(site), epochs=-1, keep_optimizer=True,
            before=lambda: torch.manual_seed(5),
        )
        for site in sites
    }  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with undisturbed():
            start = state_of(toy.module())
            return run_sites(bodies, FedAvg(), initial_state=start, rounds=ROUNDS).state
    finally:
        torch.set_num_threads(threads)


def test_over_the_network_the_global_model_is_that_of_the_simulation(toy, federation):
    server = federation.serve()
    hospitals = [federation.join(site) for site in SITES]
    server.wait_for("round 1/4", timeout_s=WAIT_S)
    check_listens_on_loopback(server, federation.port)
    assert server.process.wait(WAIT_S) == 0, server.said()
    for site, hospital in zip(SITES, hospitals, strict=True):
        assert hospital.process.wait(60) == 0, hospital.said()
        assert "the server has taken this hospital in" in hospital.said()
        diary = (federation.folder / f"run-{site}" / "diary.log").read_text(encoding="utf-8")
        # What left, one line each: facts, sums, four rounds and the final one.
        assert [diary.count(what) for what in ("facts that", "sums over", "round ")] == [1, 1, 5]
        assert diary.count(" bytes") >= 7
        kept = torch.load(federation.folder / f"run-{site}" / "fold-0.pt")
        assert set(kept) == set(federation.state())
    assert toy.same(federation.state(), simulated(toy))
    told = json.loads((federation.run / "metrics.json").read_text())
    assert {site: each["n"] for site, each in told["answers"].items()} == SIZES
    assert told["silent"] == {}
    check_kits(federation.kits)


def test_a_run_pauses_a_few_times_only_for_a_hospital_that_always_crashes(toy, federation):
    federation.run.mkdir()
    before = {"west-2": [CRASHES - 1, time.time()]}  # as earlier jobs of the run have left it
    (federation.run / "pauses.json").write_text(json.dumps(before))
    server = federation.serve(quorum=2, gather_s=60)
    for site in SITES:
        federation.join(site, pause_s=8, **({"crash": 1} if site == "west-2" else {}))
    assert server.process.wait(WAIT_S) == 0, server.said()
    assert federation.diary().count("west-2 is back; all gather again") == 1
    assert f"site west-2: the run has paused for it {CRASHES} times in a row" in server.said()
    assert toy.same(federation.state(), simulated(toy, ("north", "south")))


def test_a_hospital_does_not_wait_for_a_server_that_is_gone(federation):
    server = federation.serve(quorum=3)
    hospital = federation.join("north", give_up_s=25)
    server.wait_for("connected: north", timeout_s=WAIT_S)
    time.sleep(40)
    assert hospital.process.poll() is None, "the server was there all the time"
    server.kill()
    assert hospital.process.wait(120) != 0
    assert "ServerAway: the server has not been there for" in hospital.said()


def check_listens_on_loopback(server, port: int) -> None:
    listening = [
        connection.laddr
        for process in server.family()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert port in {address.port for address in listening}
    assert {address.ip.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}


def check_kits(kits: Path) -> None:
    """Keys are of their owner alone; jobs bring no code, name no class but ours, read no file."""
    secret = [*kits.rglob("*.key"), *(kits / "authority").iterdir()]
    assert len(secret) >= 6
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}
    for name in ("server", *SITES):
        local = kits / name / "local"
        resources = json.loads((local / "resources.json").read_text())
        assert len(resources["class_allow_list"]) == 1
        assert resources["class_list_enforcement_mode"] == "enforce"
        rights = json.loads((local / "authorization.json").read_text())["permissions"]
        assert list(rights) == ["project_admin"]
        assert {rights["project_admin"][right] for right in ("byoc", "shell_commands")} == {"none"}
        assert not (local / "authorization.json.default").exists()


def test_a_server_killed_in_mid_round_goes_on_to_the_same_model(toy, federation):
    server = federation.serve(quorum=3)
    hospitals = [federation.join(site, pause_s=2) for site in SITES]
    server.wait_for("round 2/4", timeout_s=WAIT_S)
    server.process.kill()
    server.process.wait()
    again = federation.serve("again", quorum=3)
    assert again.process.wait(WAIT_S) == 0, again.said()
    assert "round 1/4" not in again.said()
    for hospital in hospitals:
        assert hospital.process.wait(60) == 0, hospital.said()
    assert toy.same(federation.state(), simulated(toy))


def test_a_hospital_killed_and_started_again_changes_no_bit(toy, federation):
    server = federation.serve(quorum=3, deadline_s=240)
    hospitals = [federation.join(site, pause_s=2) for site in SITES]
    server.wait_for("round 2/4", timeout_s=WAIT_S)
    hospitals[1].kill()
    hospitals[1] = federation.join("south", pause_s=2)
    assert server.process.wait(WAIT_S) == 0, server.said()
    assert "south is back; all gather again" in federation.diary()
    for hospital in hospitals:
        assert hospital.process.wait(60) == 0, hospital.said()
    assert toy.same(federation.state(), simulated(toy))


@pytest.mark.parametrize("pause_s", [9, 10_000])
def test_who_is_late_or_never_answers_counts_for_nothing_and_holds_nobody_up(
    toy, federation, pause_s
):
    server = federation.serve(grace_s=3, gather_s=60)
    for site in SITES:
        federation.join(site, pause_s=pause_s if site == "west-2" else 0)
    assert server.process.wait(WAIT_S) == 0, server.said()
    assert "site west-2: no answer to 'train' in time" in federation.diary()
    diary = (federation.folder / "run-west-2" / "diary.log").read_text(encoding="utf-8")
    # Who is late goes on with the round that is then handed out.
    assert (diary.count("trained on 20 patients") > 1) == (pause_s == 9)
    assert toy.same(federation.state(), simulated(toy, ("north", "south")))


def test_a_hospital_that_the_agreement_refuses_is_told_why_and_ends(federation):
    server = federation.serve()
    for site in ("north", "south"):
        federation.join(site)
    west = federation.join("west-2", dim=4)
    assert west.process.wait(WAIT_S) == 0, west.said()
    assert "the server has refused this hospital" in west.said()
    assert "outcome: {'refused': 'site west-2: dim is 4, expected 3;" in west.said()
    assert server.process.wait(60) == 1, server.said()


def test_an_update_of_another_run_and_another_agreement_are_refused_by_name(toy, federation):
    server = federation.serve(quorum=1, grace_s=20)
    federation.join("north")
    federation.join("south", wrong_run=1)
    federation.join("west-2", agreement="b" * 64)
    assert server.process.wait(WAIT_S) == 0, server.said()
    assert "site south, round 1: update refused: it answers run 'other/fold-0'" in server.said()
    assert "site west-2 says no: the job serves agreement aaaaaaaaaaaa" in server.said()
    assert toy.same(federation.state(), simulated(toy, ("north",)))


def test_a_wrong_certificate_or_none_does_not_get_in(federation):
    server = federation.serve(quorum=1, gather_s=300)
    other = federation.make_kits("other-authority")
    stranger = federation.kits / "stranger"
    shutil.copytree(federation.kits / "north", stranger)
    for name in ("client.crt", "client.key"):
        shutil.copy(other / "north" / "startup" / name, stranger / "startup" / name)
    nobody = federation.kits / "nobody"
    shutil.copytree(federation.kits / "south", nobody)
    (nobody / "startup" / "client.crt").unlink()
    borrowed = federation.kits / "borrowed"  # another hospital's own, sound certificate
    shutil.copytree(federation.kits / "south", borrowed)
    clients = {
        "stranger": federation.join("north", kit=stranger, name="stranger"),
        "nobody": federation.join("south", kit=nobody, name="nobody"),
        "borrowed": federation.join("north", kit=borrowed, name="borrowed"),
    }
    honest = federation.join("west-2")
    server.wait_for("connected: west-2; not yet: north, south", timeout_s=WAIT_S)
    clients["stranger"].wait_for("refuses the certificate of this kit", timeout_s=120)
    assert "the server has taken this hospital in" in honest.said()
    assert "connected: north" not in server.said()
    assert "south," not in server.said()
    for client in clients.values():
        assert "the server has taken this hospital in" not in client.said()


def test_a_second_client_with_the_same_certificate_takes_no_part(toy, federation):
    server = federation.serve(quorum=2, gather_s=60, grace_s=40)
    twin = federation.kits / "twin"
    shutil.copytree(federation.kits / "north", twin)
    for site in SITES:
        federation.join(site, pause_s=15)
    server.wait_for("agreed: north, south, west-2", timeout_s=WAIT_S)
    second = federation.join("north", kit=twin, name="twin", pause_s=12)
    connected, until = twin / "client.log", time.monotonic() + 120
    while not connected.exists() or "created secure channel" not in connected.read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
    assert "round final" not in server.said()
    assert server.process.wait(WAIT_S) == 0, server.said()
    assert "trained on" not in second.said()
    assert toy.same(federation.state(), simulated(toy))


if sys.platform != "linux":
    pytestmark.append(pytest.mark.skip(reason="processes are watched as on Linux"))
