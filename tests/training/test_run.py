import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
import torch

import sparring
from sparring.config import ConfigError
from sparring.data.dataset import versioned
from sparring.files import load_tensors
from sparring.metrics.metric import Metric
from sparring.training.checkpoint import KEPT
from sparring.training.run import Diverged, Interrupted, Run, train


def final_weights(folder):
    return load_tensors(sorted((folder / "checkpoints").iterdir())[-1])[0]


def assert_same_weights(first, second):
    one, two = final_weights(first), final_weights(second)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_run_leaves_everything(tiny, shapes, tmp_path):
    verdict = train(tiny, tmp_path / "run", dataset=shapes)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        ".lock", "config.json", "model.safetensors", "best", "checkpoints", "samples", "metrics.jsonl", "samples.png",
        "training.png", "verdict.txt",
    }  # fmt: skip
    assert verdict.text in (tmp_path / "run/verdict.txt").read_text()
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["samples_seen"] for row in rows] == list(range(8, 65, 8))
    assert sorted(p.name for p in (tmp_path / "run/samples").iterdir()) == ["000000000032.png", "000000000064.png"]
    assert len(list((tmp_path / "run/checkpoints").iterdir())) == KEPT


def measured(folder, name):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["samples_seen"]: row[name] for row in rows if name in row}


def test_a_run_stops_once_its_goal_is_reached_and_stays_stopped(tiny, shapes, tmp_path):
    config = tiny.replace({"train.evaluate_every": 16, "train.until": "density>=0"})
    said = []
    train(config, tmp_path / "run", dataset=shapes, log=said.append)
    assert list(measured(tmp_path / "run", "density")) == [16]
    assert "density>=0 is reached at 16 samples" in said
    assert 16 in measured(tmp_path / "run", "diversity")  # of what it stopped with there is a picture
    assert (tmp_path / "run/samples/000000000016.png").exists()
    assert sparring.load(tmp_path / "run").sample(1).shape == (1, 1, 8, 8)
    train(config, tmp_path / "run", dataset=shapes)
    assert list(measured(tmp_path / "run", "density")) == [16]
    further = config.replace({"train.until": "density>=99"})
    verdict = train(further, tmp_path / "run", dataset=shapes, log=said.append)
    densities = measured(tmp_path / "run", "density")
    assert list(densities) == [16, 32, 48, 64]
    assert f"density {densities[64]:.3g}, goal density>=99" in said
    assert f"density>=99 was not reached: best was {max(densities.values()):.3g} at " in verdict.text
    other = config.replace({"train.until": "coverage>=99"})  # which nothing measured before the run's end
    assert "not reached" not in train(other, tmp_path / "run", dataset=shapes).text


@pytest.mark.parametrize(("r1", "r2", "measured"), [(0, 0, False), (0, 1, True), (1, 1, True)])
def test_the_alarm_knows_whether_penalties_are_computed(tiny, shapes, tmp_path, r1, r2, measured):
    config = tiny.replace({"loss.r1": r1, "loss.r2": r2})
    assert Run(config, tmp_path / "run", shapes, print).alarm.penalized == measured


def test_a_goal_that_nothing_measures_is_refused_before_anything_is_written(tiny, shapes, tmp_path):
    with pytest.raises(ConfigError, match=r"the scores of this data are .*frechet"):
        train(tiny.replace({"train.until": "fidd<=3"}), tmp_path / "run", dataset=shapes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("told", "then"), [(None, 2), ("1", 1)])
def test_a_resumed_run_keeps_its_number_of_threads_unless_told(tiny, shapes, tmp_path, monkeypatch, told, then):
    """Sums of another number of threads round otherwise. The caller's own number is as it was."""
    used = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for threads, samples in ((2, 32), (1, 64)):
            monkeypatch.setattr("sparring.training.run.choose_threads", lambda *a, n=threads: (n, "as told"))
            config = tiny.replace({"train.num_samples": samples, "train.evaluate_every": 0})
            train(config, tmp_path / "run", dataset=shapes, report=lambda p: used.append(torch.get_num_threads()))
            if told:
                monkeypatch.setenv("OMP_NUM_THREADS", told)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == [2] * 4 + [then] * 4


def test_the_best_state_is_kept(tiny, shapes, tmp_path, monkeypatch):
    """The metric's values are set: the third measurement is the best."""
    given = iter([5.0, 4.0, 1.0, 3.0])

    class Given(Metric):
        def __call__(self, sample):
            return {"frechet": next(given), "frechet_floor": 0}

    monkeypatch.setattr("sparring.training.run.metric_for", lambda *a, **k: Given())
    states = {}
    train(
        tiny.replace({"train.evaluate_every": 16}), tmp_path / "run", dataset=shapes,
        report=lambda p: states.update({p.samples_seen: load_tensors(tmp_path / "run/best/model.safetensors")[0]})
        if (tmp_path / "run/best").exists() else None,
    )  # fmt: skip
    best = load_tensors(tmp_path / "run/best/model.safetensors")[0]
    assert all(torch.equal(best[name], states[48][name]) for name in best)
    assert any(not torch.equal(best[name], states[32][name]) for name in best)
    assert sparring.load(tmp_path / "run/best").sample(2).shape == (2, 1, 8, 8)


def test_interrupted_run_resumes_bit_for_bit(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "straight", dataset=shapes)

    def interrupt(progress):
        if progress.samples_seen == 24:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as interruption:
        train(tiny, tmp_path / "broken", dataset=shapes, report=interrupt)
    assert interruption.value.signal == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    said = []
    train(tiny, tmp_path / "broken", dataset=shapes, log=said.append)
    assert any("resumed" in line and "at 24 samples" in line for line in said)
    assert_same_weights(tmp_path / "straight", tmp_path / "broken")
    straight, broken = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("straight", "broken")
    )
    drop = ("seconds",)
    assert [{k: v for k, v in row.items() if k not in drop} for row in straight] == [
        {k: v for k, v in row.items() if k not in drop} for row in broken
    ]


KILLED = """
import sys, torch
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
from conftest import TINY
from sparring.config import Config
from sparring.training.run import train
config = Config().replace(TINY | {{"data.path": "rings", "codec.patch_size": 1, "train.num_samples": 4000,
    "train.checkpoint_every": 400, "train.sample_every": 4000, "train.evaluate_every": 0}})
train(config, sys.argv[1], report=lambda p: print(p.samples_seen, flush=True))
"""


def test_killed_run_loses_at_most_an_interval(tmp_path):
    """kill -9 in the middle, twice; the same command finishes and ends where an unbroken run ends."""
    script = tmp_path / "run.py"
    script.write_text(KILLED.format(tests=os.path.dirname(os.path.dirname(__file__))))

    def start(name):
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / name)], stdout=subprocess.PIPE, text=True)

    for after in (900, 2100):
        process = start("broken")
        seen = first = 0
        for line in process.stdout:
            seen = int(line)
            first = first or seen
            if seen >= after:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait()
        states = sorted(int(p.stem) for p in (tmp_path / "broken/checkpoints").glob("*.safetensors"))
        assert seen - states[-1] < 400
    assert first > 400  # the second start resumed
    for name in ("broken", "straight"):
        process = start(name)
        process.communicate()
        assert process.returncode == 0
    assert_same_weights(tmp_path / "broken", tmp_path / "straight")


def test_non_finite_step_rolls_back_and_halves_the_rate(tiny, shapes, tmp_path):
    said = []
    run = Run(tiny, tmp_path / "run", shapes, said.append)
    run.folder.path.mkdir()
    run.start()
    step, broken = run.trainer.step, []

    def poisoned():
        logs = step()
        if run.trainer.samples_seen == 40 and not broken:
            broken.append(True)
            with torch.no_grad():
                run.trainer.generator.scale.weight.fill_(torch.nan)
                run.trainer.ema.model.scale.weight.fill_(torch.nan)
        return logs

    run.trainer.step = poisoned
    run.fit(lambda progress: None, [])
    assert broken
    assert any("rolled back to 32" in line for line in said)
    assert run.trainer.rollbacks == 1
    assert run.trainer.samples_seen == 64
    assert all(value.isfinite().all() for value in final_weights(tmp_path / "run").values())
    assert run.finish().status == "unstable" or len(run.metrics.rows) < 10


def test_gives_up_after_several_rollbacks(tiny, shapes, tmp_path):
    run = Run(tiny, tmp_path / "run", shapes, lambda line: None)
    run.folder.path.mkdir()
    run.start()
    shapes.samples[:] = torch.nan
    with pytest.raises(Diverged, match=r"half the --optim\.lr"):
        run.fit(lambda progress: None, [])
    assert all(value.isfinite().all() for value in final_weights(tmp_path / "run").values())


def test_changed_setting_is_refused_with_the_difference(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    before = (tmp_path / "run/config.json").read_bytes()
    with pytest.raises(ConfigError, match=r"--loss\.r1 is 1\.0 there and 2\.0 here"):
        train(tiny.replace({"loss.r1": 2}), tmp_path / "run", dataset=shapes)
    assert (tmp_path / "run/config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"train.batch_size": 53}, r"lines.txt holds 52 texts .* batch of --train\.batch_size 53: lower it to 52"),
        ({"codec.batch_size": 60}, r"a batch of --codec\.batch_size 60: lower"),
        ({"train.batch_size": 64, "codec.batch_size": 64}, r"--train\.batch_size 64 and --codec\.batch_size 64"),
    ],
)
def test_texts_that_are_fewer_than_a_batch_are_refused_before_anything_is_written(tiny, tmp_path, settings, says):
    (tmp_path / "lines.txt").write_text("".join(f"{a}{b}\n" for a in "abcdefgh" for b in "abcdefgh"))  # 12 held out
    config = tiny.replace({
        "data.path": str(tmp_path / "lines.txt"), "codec.name": "text", "codec.width": 16, "codec.depth": 1,
        "codec.num_samples": 16,
        "train.batch_size": 52, "codec.batch_size": 52, "train.num_samples": 52,
    })  # fmt: skip
    with pytest.raises(ConfigError, match=says):
        Run(config.replace(settings), tmp_path / "run", None, print)
    assert not (tmp_path / "run").exists()
    Run(config, tmp_path / "run", None, print)


def test_few_pictures_may_come_twice_in_a_batch(tiny, shapes, tmp_path):
    train(tiny.replace({"train.batch_size": 64, "train.evaluate_every": 0}), tmp_path / "run", dataset=shapes)
    assert (tmp_path / "run/verdict.txt").exists()


def test_longer_run_goes_on(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    train(tiny.replace({"train.num_samples": 96, "train.sample_every": 96}), tmp_path / "run", dataset=shapes)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["samples_seen"] == 96
    assert len({row["samples_seen"] for row in rows}) == len(rows)


def test_changed_data_is_refused(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    shapes.fingerprint = "others"
    with pytest.raises(ConfigError, match="changed since"):
        train(tiny.replace({"train.num_samples": 96}), tmp_path / "run", dataset=shapes)


def test_a_run_of_an_earlier_version_recognises_its_data(tiny, shapes, tmp_path):
    """It knew files by their names and sizes; the fingerprint now has their contents too."""
    former, shapes.fingerprint = shapes.fingerprint, versioned("contents", shapes.fingerprint)
    train(tiny, tmp_path / "new", dataset=shapes)
    new = shapes.fingerprint
    shapes.fingerprint = former
    train(tiny, tmp_path / "run", dataset=shapes)
    shapes.fingerprint = new
    train(tiny.replace({"train.num_samples": 96}), tmp_path / "run", dataset=shapes)
    shapes.fingerprint = versioned("other contents", former)
    for folder in ("new", "run"):  # the resumed run now knows the contents
        with pytest.raises(ConfigError, match="changed since"):
            train(tiny.replace({"train.num_samples": 144}), tmp_path / folder, dataset=shapes)


def test_damaged_newest_checkpoint_falls_back(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    said = []
    train(tiny.replace({"train.num_samples": 96}), tmp_path / "run", dataset=shapes, log=said.append)
    assert any("skipped a checkpoint" in line for line in said)
    assert any("at 48 samples" in line for line in said)


def test_trains_in_a_thread(tiny, shapes, tmp_path):
    """Signals can be caught in the main thread only; elsewhere a run must go without."""
    worker = threading.Thread(target=train, args=(tiny, tmp_path / "run"), kwargs={"dataset": shapes})
    worker.start()
    worker.join()
    assert (tmp_path / "run/verdict.txt").exists()


def test_sampling_while_training_equals_the_saved_model(tiny, shapes, tmp_path):
    run = Run(tiny, tmp_path / "run", shapes, lambda line: None)
    run.folder.path.mkdir()
    run.start()
    run.fit(lambda progress: None, [])
    saved = sparring.load(tmp_path / "run").sample(10)
    assert torch.equal(saved, run.sample(10)[0])


def test_full_disk_leaves_what_was_saved(tiny, shapes, tmp_path):
    """A small file system, where the machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        train(tiny, disk / "run", dataset=shapes)
        before = final_weights(disk / "run")
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
        with pytest.raises(OSError, match="No space left") as caught:
            train(tiny.replace({"train.num_samples": 96}), disk / "run", dataset=shapes)
        assert caught.value.errno == errno.ENOSPC
        after = final_weights(disk / "run")
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert not list((disk / "run").rglob("*.tmp"))
        (disk / "filler").unlink()
        train(tiny.replace({"train.num_samples": 96}), disk / "run", dataset=shapes)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
