#!/usr/bin/env python3
"""Compares Primer's tokens with Hugging Face's (PyPI `tokenizers`) on every text of a folder.

    tests/check_tokens.py PRINT_TOKENS VOCAB.TXT FOLDER    (the folder defaults to $PRIMER_GLUE)

Each field of each line of each .tsv file is a text, alone and as a pair with the one before it;
pairs are truncated to 128, 32 and 7 tokens too. Ends with the counts, and with 1 on a difference.
"""
import os, pathlib, subprocess, sys
from tokenizers import BertWordPieceTokenizer


def texts_of(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.tsv")):
        for line in path.read_text(encoding="utf-8-sig").split("\n"):
            yield from (field for field in line.rstrip("\r").split("\t") if field)


def ours(program, vocab, records, max_length):
    text = "".join(a + "\0" + b + "\0" for a, b in records).encode()
    arguments = [program, vocab] + ([str(max_length)] if max_length else [])
    lines = subprocess.run(arguments, input=text, stdout=subprocess.PIPE, check=True).stdout
    return lines.decode().split("\n")[:-1]


def theirs(tokenizer, records, max_length):
    tokenizer.no_truncation()
    if max_length:
        tokenizer.enable_truncation(max_length, strategy="longest_first")
    for first in range(0, len(records), 4096):
        batch = [(a, b) if b else a for a, b in records[first : first + 4096]]
        for got in tokenizer.encode_batch(batch):
            yield " ".join(map(str, got.ids)) + " | " + " ".join(map(str, got.type_ids))


def compare(program, vocab, tokenizer, records, max_length):
    lines = ours(program, vocab, records, max_length)
    assert len(lines) == len(records), (len(lines), len(records))
    differences = 0
    for record, line, want in zip(records, lines, theirs(tokenizer, records, max_length)):
        if line != want:
            differences += 1
            if differences <= 5:
                print(f"{record!r}\n  ours   {line}\n  theirs {want}")
    what = f"at most {max_length} tokens" if max_length else "any length"
    print(f"{len(records)} compared, {what}: {differences} differ")
    return differences


def main():
    program, vocab = sys.argv[1:3]
    folder = sys.argv[3] if len(sys.argv) > 3 else os.environ["PRIMER_GLUE"]
    tokenizer = BertWordPieceTokenizer(vocab, lowercase=True)
    texts = list(texts_of(folder))
    singles = [(text, "") for text in texts]
    pairs = list(zip(texts, texts[1:]))
    differences = compare(program, vocab, tokenizer, singles, None)
    differences += compare(program, vocab, tokenizer, singles, 16)
    for length in (None, 128, 32, 7):
        differences += compare(program, vocab, tokenizer, pairs, length)
    sys.exit(differences > 0)


main()
