"""Command lines: help, and options that are unknown, out of range or contradict each other. Usage:
check_use.py PROGRAMS, the folder of finetune and its sisters."""

import json
import re
import shlex

from tools_harness import COLUMNS, Parts, run_checks

PROGRAMS = ["finetune", "convert", "collapse", "evaluate", "predict", "inspect"]
FILES = ["--train-file", "train.tsv", "--dev-file", "dev.tsv", *COLUMNS]


def check_help(tools):
    """--help fits a terminal, each option's text beside it, and its examples are right use."""
    for program in PROGRAMS:
        out, err = tools.run(program, "--help")
        assert not err and out.startswith(f"usage: {program} ")
        assert out.endswith("Exit status: 0 done, 1 failed, 2 wrong use.\n")
        lines = out.split("\n")
        assert all(len(line) <= 80 and line == line.rstrip() for line in lines), program
        options = [line for line in lines if line.startswith("  --")]
        assert all(re.match(r"  --[a-z-]+( [A-Z]+)?  +\S", line) for line in options), options
        assert len({re.search(r"  (?=\S)", line[4:]).end() for line in options}) == 1, options
        assert tools.run(program, "-h")[0] == tools.run(program, "x", "--help", "y", "--z")[0] == out
        out2, _ = tools.run(program, "--version")
        assert re.fullmatch(rf"{program} \(primer\) \d+\.\d+\.\d+\n", out2), out2
        examples = out.split("\nExamples:\n")[1].split("\n\n")[0].replace("\\\n", " ")
        for line in examples.split("\n"):
            words = shlex.split(line.split("|")[0])
            assert words[0] == program, line
            tools.fails(program, *words[1:], says="No such file or directory")


def check_options(tools):
    """Every option of finetune's help is one that the program takes."""
    out, _ = tools.run("finetune", "--help")
    options = re.findall(r"^  --([a-z-]+)(?: [A-Z]+)?  ", out, re.M)
    assert options == [
        "task", "data", "train-file", "dev-file", "text", "text-b", "label", "max-length", "method",
        "learner", "size", "prime", "scale", "alpha", "retain", "prime-steps", "train", "freeze",
        "epochs", "batch-size", "micro-batch", "recompute", "memory", "lr", "weight-decay", "warmup",
        "clip", "dropout", "head-dropout", "seed", "steps", "backend", "gpu", "threads", "precision",
        "out", "collapse", "checkpoint", "save-every", "resume", "log", "json", "quiet", "dry-run",
        "profile", "check", "help", "version"]
    for shown in ("(5)", "(16)", "(2e-05)", "(0.01)", "(MODEL-tuned.gguf)", "(128)", "(all usable"):
        assert shown in out, shown


def check_unknown(tools):
    """Unknown words: the nearest right one."""
    for words, says in (
            ("--leraner 4", "unknown option '--leraner': did you mean '--learner'?"),
            ("--learning-rate 1", "unknown option '--learning-rate': did you mean '--lr'?"),
            ("--batchsize=4", "unknown option '--batchsize': did you mean '--batch-size'?"),
            ("--epoch 4", "unknown option '--epoch': did you mean '--epochs'?"),
            ("--output x", "unknown option '--output': did you mean '--out'?"),
            ("--rank 4", "unknown option '--rank': did you mean '--learner'?"),
            ("--num_train_epochs 4", "did you mean '--epochs'?"),
            ("--max_seq_length 4", "did you mean '--max-length'?"),
            ("--gradient_clip 1", "unknown option '--gradient_clip': "),
            ("--zzz", "unknown option '--zzz': see 'finetune --help'"),
            ("-e 3", "unknown option '-e': see 'finetune --help'"),
            ("--task cula --data glue", "unknown --task 'cula': did you mean 'CoLA'?"),
            ("--task sst --data glue", "unknown --task 'sst': did you mean 'SST-2'?"),
            ("--task imagenet --data glue", "unknown --task 'imagenet': it is one of "
             "CoLA, MNLI, MRPC, QNLI, QQP, RTE, SST-2, STS-B, WNLI"),
            ("--method lerner", "unknown --method 'lerner': did you mean 'learner'? (one of full,"),
            ("--method xyz", "unknown --method 'xyz': it is one of full, learner")):
        tools.wrong("finetune", "m.gguf", *words.split(), says=says)
    for program, words, says in (
            ("convert", "--random tinny --vocab v x.gguf", "unknown --random 'tinny': did you mean "
             "'tiny'?"),
            ("convert", "--vocabulary v", "unknown option '--vocabulary': did you mean '--vocab'?"),
            ("collapse", "a b --out c", "unknown option '--out': see 'collapse --help'"),
            ("evaluate", "m --dev dev.tsv", "unknown option '--dev': did you mean '--dev-file'?"),
            ("predict", "m a --textb c", "unknown option '--textb': did you mean '--text-b'?"),
            ("inspect", "m --grahp", "unknown option '--grahp': did you mean '--graph'?")):
        tools.wrong(program, *words.split(), says=f"{program}: {says}")


def check_values(tools):
    """Values out of range, and values that are none."""
    for option, values, expected in (
            ("epochs", ["0", "x", "1.5", "-1", "100001", "1e3", "0x5", " 5", "5 "],
             "a whole number from 1 to 100000"),
            ("batch-size", ["0", "1e9", "65537", "99999999999999999999"],
             "a whole number from 1 to 65536"),
            ("micro-batch", ["0", "x"], "a whole number from 1 to 65536"),
            ("lr", ["nan", "inf", "-1e-5", "11", "1e999", "1,5", "x", "--quiet"], "a number from 0 to 10"),
            ("weight-decay", ["-1"], "a number from 0 to 10"),
            ("warmup", ["-1", "nan"], "a number from 0 to 1073741824"),
            ("clip", ["-1"], "a number from 0 to 1000000000"),
            ("dropout", ["1", "-0.1", "nan"], "a number from 0 to 0.99"),
            ("head-dropout", ["1"], "a number from 0 to 0.99"),
            ("learner", ["0", "x"], "a whole number from 1 to 65536"),
            ("prime", ["-1"], "a whole number from 0 to 100000"),
            ("scale", ["nan", "1e7"], "a number from -1000000 to 1000000"),
            ("seed", ["-1", "x", "9223372036854775808"], "a whole number of 0 or more"),
            ("steps", ["0"], "a whole number from 1 to 1073741824"),
            ("threads", ["0", "100000"], "a whole number from 1 to "),
            ("max-length", ["7", "0", "2000000"], "a whole number from 8 to 1048576"),
            ("save-every", ["0"], "a whole number from 1 to 1073741824")):
        for value in values:
            tools.wrong("finetune", "m.gguf", *FILES, f"--{option}", value,
                        says=[f"finetune: --{option} takes {expected}", f", found '{value}'"])
    for limit in "x", "0", "-1", "4 apples", "1e30", "nan", "MB":
        tools.wrong("finetune", "m.gguf", *FILES, "--memory", limit,
                    says=f"--memory takes bytes, as in 400MB or 1.5GB, found '{limit}'")
    for option in "out", "log", "checkpoint", "resume", "task", "train-file", "text":
        tools.wrong("finetune", "m.gguf", f"--{option}=",
                    says=f"--{option} needs a value, found an empty one")
    for option, metavar in ("epochs", "N"), ("out", "FILE"), ("lr", "RATE"), ("method", "NAME"):
        tools.wrong("finetune", "m.gguf", *FILES, f"--{option}",
                    says=f"--{option} needs a value: --{option} {metavar}")
    for flag in "quiet", "json", "collapse", "dry-run":
        tools.wrong("finetune", "m.gguf", *FILES, f"--{flag}=no", says=f"'--{flag}' takes no value")


def check_arguments(tools):
    """Too few and too many."""
    tools.wrong("finetune", says="too few arguments: usage is 'finetune MODEL [options]'")
    tools.wrong("finetune", "--learner", "64", says="too few arguments: usage is 'finetune MODEL")
    tools.wrong("finetune", "a", "b", says="'b' is one argument too many: usage is 'finetune MODEL ")
    tools.wrong("convert", says="too few arguments: usage is 'convert IN OUT")
    tools.wrong("convert", "a", says="too few arguments: usage is 'convert IN OUT")
    tools.wrong("convert", "a", "b", "c", says="'c' is one argument too many")
    tools.wrong("convert", "--random", "tiny", "x.gguf", says="--random needs a vocabulary: --vocab")
    tools.wrong("convert", "--random", "tiny", "--vocab", "v", "a", "b",
                says="--random makes a model: give OUT alone, no IN")
    tools.wrong("convert", "a", "b", "--vocab", "v", says="--vocab goes with --random")
    tools.wrong("convert", "a", "b", "--seed", "1", says="--seed goes with --random")
    tools.wrong("collapse", "a", says="too few arguments: usage is 'collapse IN OUT'")
    tools.wrong("collapse", "a", "b", "c", says="'c' is one argument too many")
    tools.wrong("evaluate", says="too few arguments: usage is 'evaluate MODEL [options]'")
    tools.wrong("predict", says="too few arguments: usage is 'predict MODEL [TEXT ...] [options]'")
    tools.wrong("predict", "m", says="no text: name one after MODEL, or use --file FILE (- for")
    tools.wrong("inspect", "a", "b", says="'b' is one argument too many: usage is 'inspect FILE ")
    tools.wrong("inspect", "a", "--match", "x", "--graph", says="--match and --graph exclude each")


def check_contradictions(tools):
    """Options that do not go together."""
    task = ["--task", "CoLA", "--data", "glue"]
    for words, says in (
            (["--learner", 4, "--method", "full"], "--learner and --method full contradict each other: "
             "did you mean '--method learner'?"),
            (["--prime", 2], "--prime means nothing for --method full; it goes with: learner"),
            (["--scale", 2], "--scale means nothing for --method full; it goes with: learner, parallel"),
            (["--save-every", 2], "--save-every needs --checkpoint FILE"),
            (task, "--task and --train-file contradict each other: name one of them"),
            (["--data", "glue"], "--data needs --task NAME; for your own files use --train-file FILE"),
            (["--dry-run", "--quiet"], "--dry-run and --quiet leave nothing to print: did you mean"),
            (["--out", "x", "--log", "x"], "--out and --log are one file, 'x': name two"),
            (["--checkpoint", "x", "--log", "x"], "--checkpoint and --log are one file, 'x'"),
            (["--checkpoint", "m-tuned.gguf"], "--out and --checkpoint are one file, 'm-tuned.gguf'")):
        tools.wrong("finetune", "m.gguf", *FILES, *words, says=says)
    for words, says in (
            (["--task", "CoLA"], "--task CoLA needs --data DIR, the folder with its files"),
            ([*task, "--text", "x"], "--task knows its columns: --text goes with --train-file"),
            ([*task, "--dev-file", "x"], "--task and --dev-file contradict each other"),
            (["--text", "x"], "--text needs --train-file FILE"),
            (["--dev-file", "x"], "--dev-file needs --train-file FILE"),
            (["--train-file", "x", "--label", "y"], "--train-file needs --text COL, the column of the"),
            (["--train-file", "x", "--text", "y"], "--train-file needs --label COL, the column of the"),
            (["--train-file", "x", "--text", "0", "--label", "1"], "'0' is no column; expected a name,"),
            ):
        if words[-1] == "1":
            tools.make_model("m.gguf")
        tools.wrong("finetune", "m.gguf", *words, says=says)
    tools.wrong("evaluate", "m.gguf", *task, *FILES[2:4], says="--task and --dev-file contradict each")
    tools.wrong("evaluate", "m.gguf", *FILES[2:6], says="--dev-file needs --label COL, the column")


def check_machine(tools):
    """The machine's speeds, in words and as JSON, and what does not go with them."""
    out, err = tools.run("inspect", "--machine", "--threads", 1)
    speed = r"[\d.]+ [GMT]FLOP a second"
    assert not err and re.fullmatch(
        rf"1 thread: products of matrices {speed} \(OpenBLAS's kernels for \w+\)"
        rf"(, in bf16 {speed})?, memory [\d.]+ [GM]B a second\n", out), out
    out, _ = tools.run("inspect", "--machine", "--json", "--threads", 2)
    found = json.loads(out)
    assert found["threads"] == 2 and found["kernels"], out
    assert min(found["flops"], found["bytes"]) > 1e6 and found["bf16_flops"] >= 0, out
    tools.wrong("inspect", "--machine", "m.gguf", says="--machine looks at no file: leave out FILE")
    tools.wrong("inspect", "m.gguf", "--json", says="--json goes with --machine")
    for words in ["--threads", 2], ["--backend", "cpu"], ["--gpu", 0]:
        tools.wrong("inspect", "m.gguf", *words, says=f"{words[0]} goes with --machine")
    tools.wrong("inspect", "--products", "1x2x3", "--threads", 2, says="--threads goes with")
    tools.wrong("inspect", "--products", "1x2x3", "--machine", says="--machine and --products excl")
    for word in ("1x2", "1x2x3,", "1x2x3,up", "0x2x3", "1x2x3,half", "1x2x3 4x5", "1x2x-3", "a",
                 "1x2x3x4", "1x2x3;tb", "1x2x99999999", 100 * "1"):
        tools.wrong("inspect", "--products", word, says="' is no product: expected one as")
    tools.wrong("inspect", "--products", " ", says="--products: the list is empty")
    tools.wrong("inspect", says="too few arguments: usage is 'inspect FILE [options]'")


def check_fit(tools):
    """Options that do not fit the model or the data, which only these can tell."""
    data = [tools.make_model(), *tools.make_data()]
    says = "--max-length 513: the model has positions for 512 tokens only"
    tools.wrong("finetune", *data, "--max-length", 513, says=says)
    tools.wrong("evaluate", "model.gguf", *data[3:], "--max-length", 513, says=says)
    tools.wrong("predict", "model.gguf", "a", "--max-length", 513, says=says)
    tools.wrong("finetune", *data, "--learner", 257, says="learner: expected a rank of 1 to 256, found "
                "257")
    tools.tune(*data, "--learner", 256, "--epochs", 1, "--quiet")
    tools.fails("finetune", "model-tuned.gguf", *data[1:], says="model-tuned.gguf was tuned with "
                "--method learner, fold that in first: collapse model-tuned.gguf PLAIN.gguf")

    parts = Parts(tools.read("model.gguf"))
    parts.tensors = [t for t in parts.tensors if not t[0].startswith("cls.")]
    tools.write("bare.gguf", parts.bytes())
    for program, *more in ["evaluate", *data[3:]], ["predict", "a"]:
        tools.fails(program, "bare.gguf", *more, says="bare.gguf has no classification head: "
                    "fine-tune it first")
    tools.tune("bare.gguf", *data[1:], "--epochs", 1, "--quiet")
    tools.run("predict", "bare-tuned.gguf", "a")


run_checks(globals())
