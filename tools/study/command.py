"""The command line of tools/glue."""

import pathlib
import sys

from study import figures, methods, settings, table1, table2, tasks
from study.children import Locks
from study.fault import FAILED, Fault, printable, wrong_use
from study.files import write_json
from study.options import Option, Program, flag
from study.plan import Plan, choose_seeds, version
from study.progress import Progress
from study.schedule import Schedule
from study.words import count

GROUPS = [
    ("Runs", [
        Option("data", "DIR", "GLUE: a folder for each task, as they are downloaded",
               also="data_dir glue_dir glue"),
        Option("methods", "LIST", "names with commas between, such as full,learner-64-p2,lora-64; "
               "all: the twelve of the paper", "all", also="method"),
        Option("tasks", "LIST", "such as CoLA,RTE; all: those in DIR, the smallest first", "all",
               also="task task_name"),
        Option("seeds", "N", "how many, from 0 on; or which: 0,3 or 2-4", "5", also="seed"),
        Option("out", "DIR", "where results are, and are added to",
               also="output_dir output o results"),
        Option("jobs", "N", "runs at a time, each with its part of the cores", 1, "int", 1, 1024,
               also="j parallel workers threads"),
        Option("backend", "NAME", "cpu, cuda, or auto: a GPU where there is one", "auto",
               also="device", choices=["auto", "cpu", "cuda"]),
        Option("gpu", "N", "which, counted from 0", 0, "int", 0, 63, also="device_id cuda"),
        flag("timed", "for table 1: one run at a time; one that was stopped, or had company, is "
             "made anew", also="time benchmark")]),
    ("Training, the same for all runs in a folder", [
        Option("epochs", "N", "passes over the data", 5, "int", 1, 100000,
               also="num_train_epochs num_epochs"),
        Option("batch-size", "N", "texts a step", 16, "int", 1, 65536,
               also="per_device_train_batch_size train_batch_size bs batch"),
        Option("lr", "RATE", "highest learning rate; it falls linearly to 0", 2e-5, "real", 0, 10,
               also="learning-rate"),
        Option("max-length", "N", "tokens of a text at most; the rest is cut off", 128, "int", 8,
               1 << 20, also="max_seq_length max_seq_len"),
        Option("precision", "NAME", "of products: f32, tf32 or bf16, as finetune has it", "f32",
               also="dtype bf16 fp16", choices=["f32", "tf32", "bf16"])]),
    ("Going on", [
        Option("save-every", "N", "steps between a run's checkpoints", 200, "int", 1, 1 << 30,
               also="save_steps checkpoint"),
        flag("keep-models", "leave the tuned models in the folder", also="save_model"),
        flag("force", "add to a folder of other settings: they become its settings, and what was "
             "made with the old ones is made anew", also="overwrite f"),
        flag("dry-run", "list the runs and their state; train nothing", also="list status"),
        flag("quiet", "print nothing but errors", also="silent q")]),
    ("Tables and figures, of what is done", [
        Option("table", "N", "1: parameters, time and memory; 2: scores", None, "int", 1, 2),
        flag("tables", "both"),
        flag("figures", "training loss against step, a picture for each task", also="plot plots")]),
]

PROGRAM = Program(
    "glue", "MODEL --data DIR --out DIR [options]",
    "Fine-tunes MODEL, a GGUF file or a Hugging Face folder, on the tasks of GLUE with each method "
    "and seed, every run a process of finetune, and compares the results with the paper's in "
    "tables and figures. A run that is done is not run again; one that was stopped goes on from "
    "its last checkpoint; one that fails is told of, and the rest goes on. Ctrl-C stops all, with "
    "checkpoints saved; the same command goes on. Without MODEL it makes tables and figures of "
    "what is there.",
    GROUPS,
    ["  glue model.gguf --data GLUE --out study --jobs 2",
     "  glue model.gguf --data GLUE --out study --tasks CoLA,RTE \\",
     "      --methods full,learner-64-p2 --seeds 3",
     "  glue model.gguf --data GLUE --out times --tasks CoLA --seeds 1 \\",
     "      --epochs 20 --timed --table 1",
     "  glue --out study --tables --figures"],
    None)


def check(options, given, rest):
    """What contradicts what. Turns lists of names into methods, tasks and seeds."""
    if len(rest) > 1:
        raise wrong_use(f"'{rest[1]}' is one argument too many: usage is '{PROGRAM.name} "
                        f"{PROGRAM.usage}'")
    shows = options["table"] or options["tables"] or options["figures"]
    if not rest and not shows:
        raise wrong_use(f"too few arguments: usage is '{PROGRAM.name} {PROGRAM.usage}'; --table N "
                        "and --figures need no MODEL")
    if "out" not in given:
        raise wrong_use("--out DIR is missing: the folder of the results")
    if rest and "data" not in given:
        raise wrong_use("--data DIR is missing: the folder with GLUE's tasks")
    if not rest:
        for name in ("data", "jobs", "backend", "gpu", "timed", "dry-run", "force", "keep-models",
                     "save-every", "epochs", "batch-size", "lr", "max-length", "precision"):
            if name in given:
                raise wrong_use(f"--{name} needs a MODEL to train")
    if options["timed"] and options["jobs"] > 1:
        raise wrong_use("--timed and --jobs contradict each other: timed runs are made one at a "
                        "time")
    if options["dry-run"] and options["quiet"]:
        raise wrong_use("--dry-run and --quiet leave nothing to print")
    options["methods"] = methods.choose(options["methods"])
    options["tasks"], options["every-task"] = tasks.choose(options["tasks"])
    options["seeds"] = choose_seeds(options["seeds"])


def train(model, options, tools):
    """Makes the runs. Returns the exit code, and whether it went through to its end."""
    plan = Plan(model, options, tools)
    progress = Progress(options["quiet"])
    if plan.missing:
        progress.warn(f"{', '.join(plan.missing)}: no files in {options['data']}; going on "
                      "without")
    if options["dry-run"]:
        plan.sort()
        print("\n".join(plan.tell()))
        return 0, False
    plan.make_folder()
    locks = Locks(plan.out, progress.say)
    plan.sort()
    if settings.load(plan.out) != plan.study:
        write_json(plan.out / settings.NAME, plan.study)
    for run, _ in plan.records:
        if (run.folder / "begun.json").exists():  # a killed study was making it anew
            run.clear()
    schedule = Schedule(plan, locks, progress)
    schedule.work()
    locks.close()
    text = f"{schedule.done} of {count(len(plan.runs), 'run')} done"
    if schedule.failed:
        text += f", {len(schedule.failed)} failed"
    stopped = schedule.interrupts.times > 0 and schedule.done < len(plan.runs)
    if stopped or schedule.failed:
        text += "; the same command " + ("goes on" if stopped else "tries again")
    progress.say(f"{plan.out}: {text}")
    return FAILED if stopped or schedule.failed else 0, not stopped


def show(options, given):
    """Tables and figures."""
    out = pathlib.Path(options["out"])
    study = settings.load(out)
    if study is None:
        raise Fault(f"{out}: no study is there: {settings.NAME} is missing")
    chosen = {name: options[name] if name in given else None
              for name in ("methods", "tasks", "seeds")}
    wanted = {1, 2} if options["tables"] else {options["table"]}
    made = []  # all of it before anything is written
    if 1 in wanted:
        made.append(table1.make(out, study, **chosen))
    if 2 in wanted:
        made.append(table2.make(out, study, **chosen))
    pictures = figures.make(out, study, **chosen) if options["figures"] else None
    for n, table in enumerate(made):
        table.write(out)
        if not options["quiet"]:
            print(("\n" if n else "") + table.text(), end="")
    if pictures:
        for path in pictures.draw():
            if not options["quiet"]:
                print(path)


def main(tools, arguments):
    """The exit code. tools: the folder of the programs."""
    try:
        PROGRAM.version = lambda: version(tools)
        parsed = PROGRAM.parse(arguments)
        if not parsed:
            return 0
        options, given, rest = parsed
        check(options, given, rest)
        code, ended = train(rest[0], options, tools) if rest else (0, True)
        if ended and (options["table"] or options["tables"] or options["figures"]):
            show(options, given)
        sys.stdout.flush()
        return code
    except Fault as fault:
        print(f"glue: {printable(fault.message)}", file=sys.stderr)
        return fault.code
    except KeyboardInterrupt:
        print("glue: stopped", file=sys.stderr)
        return FAILED
    except OSError as fault:
        sys.stdout = None  # else Python tries once more at its end
        where = fault.filename or "standard output can't be written"
        print(f"glue: {printable(f'{where}: {fault.strerror}')}", file=sys.stderr)
        return FAILED
