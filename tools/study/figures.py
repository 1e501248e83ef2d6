"""Pictures of training loss against step, one for each task: the paper's Figures 2 to 9. gnuplot
draws them from scripts and data that stay beside them, for whoever wants to draw them otherwise."""

import shutil
import subprocess

from study import files
from study.curves import Curve
from study.fault import Fault
from study.methods import BASELINE, TABLE_1, TABLE_2, in_order
from study.results import Results, label
from study.script import script
from study.tasks import TASKS
from study.words import count

LEARNERS = [key for key in TABLE_2 if key.startswith("learner-")]
MOST_CURVES = 8  # that are told apart in one picture


class Picture:
    """One task's. kind: '' or '-learners'."""

    def __init__(self, task, kind, curves):
        self.task, self.curves = TASKS[task], curves
        self.name = f"figure-{task}{kind}"

    def data(self):
        """Blocks that gnuplot finds by their names."""
        blocks = []
        for curve in self.curves:
            for part, points in (("raw", curve.raw), ("smooth", curve.smooth),
                                 ("flip", [(step, value) for step, value in curve.flips])):
                lines = "".join(f"{step} {value:.5g}\n" for step, value in points)
                if lines:
                    blocks.append(f"# {curve.key} {part}\n{lines}")
        return "\n\n".join(blocks)

    def caption(self, settings, missing):
        most = max(curve.seeds for curve in self.curves)
        text = f"Training loss on {self.task.name}"
        if self.task.figure:
            text += f" (the paper's Figure {self.task.figure}, {self.task.epochs} epochs there)"
        window = max(curve.window for curve in self.curves)
        text += (f": {settings['model']}, {count(settings['epochs'], 'epoch')}, batches of "
                 f"{settings['batch_size']}, learning rate {settings['lr']:g}. "
                 f"Lines: {'mean over ' + count(most, 'seed') + ', ' if most > 1 else ''}moving "
                 f"mean over {count(window, 'step')}; faint: each step of "
                 f"{'one seed' if most > 1 else 'the run'}.")
        fewer = [f"{label(curve.key)} {curve.seeds}" for curve in self.curves if curve.seeds < most]
        if fewer:
            text += f" Seeds that are there of others: {', '.join(fewer)}."
        if any(curve.flips for curve in self.curves):
            text += " Rings and the dashed line: fewer parameters train from there on."
        if missing:
            text += f" Not run: {', '.join(label(key) for key in missing)}."
        return text


def curve(results, task, key):
    """The curve of a method's runs; None where there are none."""
    records = results.of(task, key)
    seeds = sorted(records)
    if not seeds:
        return None
    losses = [results.places[task, key, seed].losses() for seed in seeds]
    if len({len(values) for values in losses}) > 1 or not losses[0]:
        raise Fault(f"{results.places[task, key, seeds[0]].folder.parent}: the seeds' losses.txt "
                    "differ in length")
    return Curve(key, [records[seed] for seed in seeds], losses)


def sets_of_curves(results, task, methods):
    """[(kind of picture, keys)]: a few methods that were chosen, or the paper's in one picture and,
    where there are more learners than its one, all of them in a second."""
    chosen = [method.key for method in methods or []]
    if chosen and len(chosen) <= MOST_CURVES:
        return [("", chosen)]
    there = set(results.runs.get(task, {}))
    others = there - {*TABLE_1, *LEARNERS}
    pictures = [("", in_order(others.union(TABLE_1), TABLE_1)),
                ("-learners", [BASELINE, *LEARNERS])]
    return pictures if len(there & set(LEARNERS)) > 1 else pictures[:1]


class Pictures:
    def __init__(self, out, settings):
        self.folder, self.settings, self.pictures, self.captions = out / "figures", settings, [], []

    def add(self, picture, missing):
        self.pictures.append(picture)
        self.captions.append(picture.caption(self.settings, missing))

    def draw(self):
        """Writes all files; returns the pictures' paths."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as fault:
            raise Fault(f"{self.folder}: {fault.strerror}") from fault
        paths = []
        for picture in self.pictures:
            files.write(self.folder / f"{picture.name}.dat", picture.data())
            files.write(self.folder / f"{picture.name}.gp", script(picture))
            gnuplot(self.folder, picture.name)
            paths += [self.folder / f"{picture.name}.{ending}" for ending in ("svg", "png")]
        text = "".join(f"![{p.name}]({p.name}.svg)\n\n{caption}\n\n"
                       for p, caption in zip(self.pictures, self.captions))
        files.write(self.folder / "figures.md", text.rstrip("\n") + "\n")
        return [*paths, self.folder / "figures.md"]


def gnuplot(folder, name):
    """Runs a script. What it merely warns of, such as a font, is no fault."""
    done = subprocess.run(["gnuplot", f"{name}.gp"], cwd=folder, capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, check=False)
    drawn = all((folder / f"{name}.{ending}").exists() for ending in ("svg", "png"))
    if done.returncode or not drawn:
        lines = done.stderr.strip().splitlines() or ["it drew nothing"]
        raise Fault(f"{folder / name}.gp: gnuplot: {lines[-1].strip()}")


def make(out, study, methods=None, tasks=None, seeds=None):
    """The pictures of all tasks that have runs, ready to be drawn."""
    if not shutil.which("gnuplot"):
        raise Fault("--figures needs gnuplot: apt-get install gnuplot-nox")
    results = Results(out, study, methods, tasks, seeds)
    pictures = Pictures(out, study["settings"])
    for task in in_order(results.runs, TASKS):
        for kind, keys in sets_of_curves(results, task, methods):
            curves = {key: curve(results, task, key) for key in keys}
            there = [each for each in curves.values() if each]
            if there:
                pictures.add(Picture(task, kind, there),
                             [key for key, each in curves.items() if not each])
    if not pictures.pictures:
        raise Fault(f"{out}: no run is done of those that the figures are to show")
    return pictures
