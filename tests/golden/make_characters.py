#!/usr/bin/env python3
"""Writes characters.txt: for every 256 code points a hash (FNV-1a, 64 bits) of the words that Hugging
Face's BERT normaliser and pre-tokeniser make of "a", the character, "B". Needs PyPI's tokenizers.

    tests/golden/make_characters.py > tests/golden/characters.txt
"""
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer


def main():
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    for first in range(0, 0x110000, 256):
        if 0xD800 <= first < 0xE000:
            continue
        value = 0xCBF29CE484222325
        for c in range(max(first, 1), first + 256):
            words = splitter.pre_tokenize_str(normalizer.normalize_str("a" + chr(c) + "B"))
            for byte in "".join(word + "\0" for word, _ in words).encode():
                value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        print(f"{value:016x}")


main()
