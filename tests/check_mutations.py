"""Every kernel for GPUs, broken on purpose: each is changed in one place, compiled for the emulation
and tried by a test of the CUDA column, which must fail. A kernel without a mutation here fails too.
Usage: check_mutations.py ROOT BUILD, built by CMake's Makefiles."""

import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

OPS, RUNS, ADAMW = "test_planned_ops", "test_planned_runs", "test_adamw"
AHEAD = "test_ahead"
TIMEOUT = 120

# (file, kernel, what is broken, there or in the header of the file's name, how, the test, the op
# whose cases are enough)
MUTATIONS = [
    ("accumulate", "accumulate", "total[i] + x[i]", "x[i]", RUNS, None),
    ("adamw", "update_dense", "d.m[i] = m;", "", ADAMW, None),
    ("adamw", "update_rows", "(int32_t)(t << 1) | 1", "(int32_t)(t << 1)", ADAMW, None),
    ("adamw_catch_up", "catch_up", "row = id[block];", "row = id[0];", ADAMW, None),
    ("adamw_catch_up", "catch_up", "if (site.fault->held) return;", "", AHEAD, None),
    ("add", "add", "a[i] + b[i]", "a[i] - b[i]", OPS, "add"),
    ("attention", "attend", "score[r] * h.scale", "score[r]", OPS, "attention"),
    ("attention_grad", "make_dq", "dp[r] * mask.at[r] - delta[r]", "dp[r] - delta[r]", OPS,
     "attention_grad"),
    ("attention_grad", "make_dk_dv", "p.at[r] *= mask.at[r];", "", OPS, "attention_grad"),
    ("clip_factor", "clip_factor", "fmin(1.0, ", "fmax(1.0, ", OPS, "clip_factor"),
    ("clip_factor", "clip_factor", "fault->held = 1;", ";", AHEAD, None),
    ("constant", "fill", "y[i] = value", "y[i] = value + 1.0f", OPS, "constant"),
    ("cross_entropy", "cross_entropy", "sum / (double)sentences", "sum", OPS, "cross_entropy"),
    ("cross_entropy", "cross_entropy_grad", "(i == e.label[b])", "(i == 0)", OPS,
     "cross_entropy_grad"),
    ("densify", "fill_zeros", "if (i < n) y[i] = 0.0f;", "", OPS, "densify"),
    ("densify", "lay_rows", "y[id[k] * d + i] =", "y[k * d + i] =", OPS, "densify"),
    ("dropout", "dropout", "draw.word[i + k]", "draw.word[k]", OPS, "dropout"),
    ("embed", "embed", "id_of(id, token, n_rows) * d", "id_of(id, 0, n_rows) * d", OPS, "embed"),
    ("embed", "rank_tokens", "other < own ||", "other > own ||", OPS, "embed_grad"),
    ("embed", "list_distinct", "distinct[k] = -1", "distinct[k] = 0", OPS, "embed_grad"),
    ("embed", "sum_shared", "sum + dy[order[k] * d + i]", "dy[order[k] * d + i]", OPS,
     "embed_grad"),
    ("first_token", "first_token", "sentence < s.live[PR_LIVE_SENTENCES] ?", "true ?", OPS, "first_token"),
    ("first_token", "first_token_grad", "s.offset[sentence] == row", "s.offset[sentence] <= row",
     OPS, "first_token_grad"),
    ("gelu", "gelu", "x[i] * normal_distribution(x[i]);", "normal_distribution(x[i]);", OPS,
     "gelu"),
    ("gelu", "gelu_grad", "x[i] * normal_density(x[i])", "normal_density(x[i])", OPS, "gelu_grad"),
    ("layer_norm", "layer_norm", "+ epsilon", "", OPS, "layer_norm"),
    ("layer_norm", "layer_norm_grad", "- xhat * product", "- product", OPS, "layer_norm_grad"),
    ("layer_norm", "layer_norm_grad_gamma", "- means[row]", "", OPS, "layer_norm_grad_gamma"),
    ("matmul", "round_to_bf16", "__float2bfloat16_rn(x[i])", "__float2bfloat16_rn(x[0])", OPS,
     "matmul"),
    ("matmul", "add_addends", "onto ? onto[i]", "onto ? onto[0]", OPS, "matmul"),
    ("mse", "mse", "difference * difference", "difference", OPS, "mse"),
    ("mse", "mse_grad", "*dloss * 2.0", "*dloss", OPS, "mse_grad"),
    ("relu", "relu", "x[i] < 0.0f ?", "x[i] < -1.0f ?", OPS, "relu"),
    ("relu", "relu_grad", "y[i] <= 0.0f", "y[i] < 0.0f", OPS, "relu_grad"),
    ("residual_norm", "residual_norm", "v.at[k] += to.at[k];", "", OPS, "residual_norm"),
    ("residual_norm", "residual_norm_grad", "drop(m, mask, i, h);", "", OPS,
     "residual_norm_grad"),
    ("scale", "scale", "factor * x[i]", "x[i]", OPS, "scale"),
    ("softmax", "softmax", "expf(x[i] - most) * scale", "expf(x[i] - most)", OPS, "softmax"),
    ("softmax", "softmax_grad", "(dy[i] - sum)", "dy[i]", OPS, "softmax_grad"),
    ("sum_rows", "sum_rows", "onto[column] + sum", "sum", OPS, "sum_rows"),
    ("sum_squares", "square", "sum += (double)s.x[i] *", "sum += (double)s.x[0] *", OPS,
     "sum_squares"),
    ("sum_squares", "add_up", "total += sums[t]", "total = sums[t]", RUNS, None),
    ("tanh", "hyperbolic_tangent", "tanhf(x[i])", "x[i]", OPS, "tanh"),
    ("tanh", "tanh_grad", "1.0f - y[i]", "2.0f - y[i]", OPS, "tanh_grad"),
]


def kernels_of(source):
    """The names of a file's kernels."""
    return re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", source)


class Builder:
    """Compiles a kernel's file as CMake does, and links it into a test in place of the right one."""

    def __init__(self, root, build):
        self.root, self.tests = root, build / "tests"
        flags = (self.tests / "CMakeFiles/emulated_kernels.dir/flags.make").read_text()
        self.flags = [word for name in ("DEFINES", "INCLUDES", "FLAGS") for word in shlex.split(
            re.search(rf"^CXX_{name} = (.*)$", flags, re.M).group(1).replace('\\"', '"\\""'))]
        cache = (build / "CMakeCache.txt").read_text()
        self.compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.M).group(1)

    def run(self, command):
        done = subprocess.run(command, cwd=self.tests, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stderr[-2000:]}"

    def make(self, name, test, folder):
        """The test's program with the ops/NAME.cu of a folder, and what else lies there."""
        kernel = folder / f"{name}.o"
        self.run([self.compiler, "-I", folder, *self.flags, "-O1", "-w", "-x", "c++", "-c",
                  folder / "ops" / f"{name}.cu", "-o", kernel])
        link = shlex.split((self.tests / f"CMakeFiles/{test}_cuda.dir/link.txt").read_text())
        right = f"CMakeFiles/emulated_kernels.dir/__/ops/{name}.cu.o"
        assert right in link, f"{test}_cuda has no {right}"
        link[link.index(right)] = kernel
        program = folder / test
        link[link.index("-o") + 1] = program
        self.run(link)
        return program


def break_source(root, folder, name, kernel, old, new):
    """Puts ops/NAME.cu into the folder with a change, or with its header changed; whether it could."""
    source = (root / "ops" / f"{name}.cu").read_text()
    header = root / "ops" / f"{name}.cuh"
    shared = header.read_text() if header.exists() else ""
    start = re.search(rf"\b{kernel}\(", source)
    at = source.find(old, start.start()) if start else -1
    if start and at < 0 and old in shared:
        (folder / "ops" / header.name).write_text(shared.replace(old, new, 1))
    elif at >= 0:
        source = source[:at] + new + source[at + len(old):]
    else:
        return False
    (folder / "ops" / f"{name}.cu").write_text(source)
    return True


def try_mutation(builder, mutation):
    """An empty text where the test fails, as it must."""
    name, kernel, old, new, test, op = mutation
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "ops").mkdir()
        if not break_source(builder.root, folder, name, kernel, old, new):
            return f"ops/{name}.cu: {kernel} has no '{old}'"
        program = builder.make(name, test, folder)
        try:
            done = subprocess.run([program, *([op] if op else [])], capture_output=True,
                                  timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return ""
        return "" if done.returncode else f"ops/{name}.cu: {kernel} with '{new}' for '{old}' passes"


def main():
    root, build = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    found = [f"ops/{path.name}: {kernel} has no mutation"
             for path in sorted((root / "ops").glob("*.cu"))
             for kernel in kernels_of(path.read_text())
             if not any(m[:2] == (path.stem, kernel) for m in MUTATIONS)]
    builder = Builder(root, build)
    workers = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        found += filter(None, pool.map(lambda m: try_mutation(builder, m), MUTATIONS))
    print("\n".join(found) or f"{len(MUTATIONS)} broken kernels were found out")
    sys.exit(bool(found))


main()
