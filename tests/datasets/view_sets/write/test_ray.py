"""The engine on Ray, on a cluster of two machines that are processes of this one: what is lost when something dies."""

import dataclasses
import json
import platform
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from trimesh import creation

from render3d import cli
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write import ray as module
from render3d.datasets.view_sets.write.engine import Failed, Finished, Limits, Outcome
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.ray import RayEngine
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError, RendererError
from render3d.optional import Library
from tests.datasets.view_sets.write.toy import LONG, Toy, until

ray = pytest.importorskip("ray")
Cluster = pytest.importorskip("ray.cluster_utils").Cluster
ROOT = Path(__file__).resolve().parents[4]
LIMITS = Limits(seconds=LONG, memory=2**30)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """Workers import the module of toys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator["Cluster"]:
    """A head without workers, and two machines with room for one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def objects(*ids: str) -> list[CollectionObject]:
    return [CollectionObject(each, ROOT / "README.md", ROOT) for each in ids]


def kinds(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """What became of each object; no object has two outcomes."""
    found = [(each.object.id, each.kind if isinstance(each, Failed) else "finished") for each in outcomes]
    assert len(dict(found)) == len(found)
    return dict(found)


FINE = [f"fine-{number}" for number in range(6)]
MIXED = ["fine-0", "fine-1", "large", "loses", "fine-2", "dies", "fine-3", "loses_once", "fine-4", "fine-5"]


@pytest.fixture(scope="module")
def mixed(cluster: "Cluster", tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, list[Outcome]]:
    """What came of good objects and bad ones."""
    toy = Toy(tmp_path_factory.mktemp("mixed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RETRIES", 1)
        outcomes = list(RayEngine(cluster.address).run(toy, objects(*MIXED), LIMITS))
    # By itself, for how long the others take depends on the machine.
    outcomes += RayEngine(cluster.address).run(toy, objects("slow"), Limits(seconds=1.0))
    assert not ray.is_initialized()
    return toy, outcomes


def test_an_object_that_is_too_much_costs_only_itself(mixed: tuple[Toy, list[Outcome]]) -> None:
    toy, outcomes = mixed
    found = kinds(outcomes)
    assert found.keys() == {*MIXED, "slow"}
    assert {found[each] for each in FINE} == {"finished"}
    assert (found["slow"], found["large"], found["dies"]) == ("timeout", "memory", "crash")
    for each in (*FINE, "slow", "large", "dies"):  # what an object does to its process is not tried again
        assert len(toy.started(each)) == 1


def test_an_object_whose_worker_is_killed_is_made_again_a_few_times(mixed: tuple[Toy, list[Outcome]]) -> None:
    toy, outcomes = mixed
    found = kinds(outcomes)
    assert (found["loses_once"], found["loses"]) == ("finished", "crash")
    assert (len(toy.started("loses_once")), len(toy.started("loses"))) == (2, 2)
    [lost] = [each for each in outcomes if isinstance(each, Failed) and each.object.id == "loses"]
    assert lost.reason.startswith("It lost its worker 2 times")


def test_the_object_of_a_machine_that_is_lost_is_made_on_another(cluster: "Cluster", toy: Toy) -> None:
    ids = ("held", *(f"after_held-{number}" for number in range(6)))
    outcomes = RayEngine(cluster.address).run(toy, objects(*ids), Limits(seconds=LONG))
    found = [next(outcomes)]
    [(_, actor)] = toy.started("held")
    machine = psutil.Process(actor).ppid()
    [node] = [each for each in cluster.worker_nodes if each.all_processes["raylet"][0].process.pid == machine]
    cluster.remove_node(node, allow_graceful=False)
    found += outcomes
    assert kinds(found) == dict.fromkeys(ids, "finished")
    assert len(toy.started("held")) == 2
    cluster.add_node(num_cpus=1)


def test_no_object_is_begun_before_it_is_asked_for_and_closing_ends_the_workers(cluster: "Cluster", toy: Toy) -> None:
    ray.init(cluster.address, log_to_driver=False)
    try:
        outcomes = RayEngine().run(toy, objects("fine-0", "fine-1", *(f"slow-{n}" for n in range(6))), Limits(LONG))
        assert isinstance(next(outcomes), Finished)
        until(lambda: len(toy.started()) >= 3)
        time.sleep(0.5)
        assert len(toy.started()) == 3  # two at first, and one in the place of the first that was done
        outcomes.close()
        workers = {process for pair in toy.started() for process in pair}
        until(lambda: not any(map(psutil.pid_exists, workers)))
        until(lambda: ray.available_resources().get("CPU") == 2)
        assert ray.is_initialized()  # it was not the engine's
    finally:
        ray.shutdown()


def test_the_pictures_are_those_of_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    for name, mesh in {"box": creation.box(), "ball": creation.icosphere(2), "can": creation.cylinder(1, 2)}.items():
        mesh.export(f"{name}.obj")
    models = [
        CollectionObject(path.stem, path, Path()) for path in Path().glob("*.obj")
    ]  # relative paths, as users type them
    settings = ViewsSettings(protocol=Sphere(views=2, image_size=(32, 32)))
    for name, engine in {"local": LocalEngine(workers=1), "ray": RayEngine(workers=1)}.items():
        assert generate(models, settings, Path(name), engine).made == 3
    local, with_ray = stored(Path("local")), stored(Path("ray"))
    assert len(local) > 3 * 2
    assert with_ray == local


def test_json_is_all_that_is_on_standard_output(
    cluster: "Cluster", tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of this process and of all that Ray starts."""
    creation.box().export(tmp_path / "box.obj")
    words = f"--views 2 --size 16 --engine ray --workers 1 --address {cluster.address} --json"
    assert cli.main(["views", str(tmp_path / "box.obj"), "--out", str(tmp_path / "out"), *words.split()]) == 0
    [line] = capfd.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["made"] == 1, (tmp_path / "out" / "failures.csv").read_text()
    assert found["memory_mib"][0]["objects"] == 1


def stored(folder: Path) -> dict[Path, bytes]:
    """All files of a run but those that tell of the run itself: when it was, and how long it took."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    about = {Path("config.json"), Path("metrics.json"), Path("report.html")}
    return {name: path.read_bytes() for name, path in files.items() if name not in about}


def test_a_machine_that_does_not_see_the_models_ends_the_run_and_says_which(cluster: "Cluster", toy: Toy) -> None:
    [item] = objects("fine")
    unseen = dataclasses.replace(item, root=ROOT / "of another machine")
    with pytest.raises(RendererError, match=f"of another machine is not there on {platform.node()}. Every machine"):
        list(RayEngine(cluster.address, workers=1).run(toy, [unseen], LIMITS))
    assert toy.started() == []


def test_a_machine_that_does_not_see_the_folder_of_the_run_makes_none_of_its_own(tmp_path: Path) -> None:
    creation.box().export(tmp_path / "box.obj")
    unseen = tmp_path / "of another machine"
    outcome = RenderObject(ViewsSettings(), unseen)(CollectionObject("box", tmp_path / "box.obj", tmp_path))
    assert isinstance(outcome, Failed)
    assert outcome.kind == "output"
    assert str(unseen) in outcome.reason
    assert not unseen.exists()


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> None:
    with pytest.raises(DatasetError, match="workers must be at least 1, and finite; got 0"):
        RayEngine(workers=0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    for address, why in ((f"127.0.0.1:{free}", "refused"), ("nowhere", "Invalid address")):
        with pytest.raises(RendererError, match=f"No Ray cluster can be joined at '{address}': .*{why}.* ray start"):
            next(RayEngine(address).run(toy, objects("fine"), LIMITS))
    monkeypatch.setattr(module, "RAY", Library("Ray", "no_such_ray", "", extra="ray"))
    with pytest.raises(RendererError, match="Ray is not installed. .*pip install 'render3d\\[ray\\]'"):
        RayEngine()
