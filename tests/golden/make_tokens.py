#!/usr/bin/env python3
"""Writes tokens.jsonl: the hardest texts we know and what Hugging Face's fast tokenizer makes of
them, with the vocabulary of tokenizer/ggml-vocab-bert-bge.gguf. Needs PyPI's tokenizers and gguf.

    tests/golden/make_tokens.py > tests/golden/tokens.jsonl
"""
import json, pathlib, random, unicodedata
import gguf, tokenizers

HERE = pathlib.Path(__file__).parent
HARD = """
 İstanbul ISTANBUL ıspanak | ΣΊΣΥΦΟΣ Σίσυφος ΟΔΥΣΣΕΎΣ | STRASSE Straße STRAẞE ẞ ß | ǅungla Ǆ ǆ
Å Å Å (three times, composed or not) | ﬁre ﬂy ﬀ ﬃ | Ⅷ ⅷ Ⓐ ⓐ | K K ℵ | ½ ¼ ² ³ | ﷺ ﷽
naïve café résumé crème brûlée façade | naïve café résumé | Việt Nam Tiếng Việt Cửa | Ḋṩ̣ ṩ
Łódź Øresund đồng ħ Ħ ŧ Ŧ ł ø æ Æ œ Œ þ Þ ð Ð | ŉ ǰ ẖ ẗ ẘ ẙ ẚ | ſ ẛ ẛ̣ long s
한국어 각 각 가각힣 | 日本語ひらがなカタカナ カ゛ガ ガ | 我想在apple工作1314151天～ | 漢字𠀀𪜀𫝀𫠠𬺰𰀀 | 豈更車 丽丸乁
〇〆〡㐀䶿一鿿鿼 ㊀㈱㌀ ｱｲｳ ＡＢＣ ａｂｃ １２３ ！＂＃ ￥￦ | ㄱㄴㄷ 각
हिन्दी नमस्ते क़ख़ग़ज़ | বাংলা ড়ঢ়য় | ਪੰਜਾਬੀ ਸ਼ | தமிழ் కన్నడ ಕನ್ನಡ മലയാളം සිංහල | ภาษาไทย ลาว ພາສາ | བོད་ཡིག | မြန်မာ | ខ្មែរ
العربية مُحَمَّد ـــ كتاب‌ها ؟ ، ؛ | עִבְרִית שָׁלוֹם שּׁ יִ ״׳ | ܐܪܡܝܐ | ߒߞߏ ߽ | አማርኛ ።፡ | ᏣᎳᎩ Ꭰ ꭰ | Გ გ ა Ა
𐐀𐐨 Deseret | 𝐀𝑨𝒜𝓐𝔄𝔸 maths | 𝟘𝟙𝟚 | 𝅗𝅥𝅘𝅥 notes | 🦙.cpp 🚀 ✅ 😶‍🌫️ 👨‍👩‍👧‍👦 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ☺️ ☺ 1️⃣
zero​width‌joiner‍s­oft⁠word﻿bom | l‎r‏m‪x‬ ⁦y⁩ | a᠎b | a b c d e f g　h i | tab\there\rand\x0bthere\x0c.
\x00nul\x01one\x1funit\x7fdel\x85nel\x9fapc | �replacement\ufffe\uffff | \ue000private\uf8ff | \U000e0041tag | \U0010fffd
[CLS] in [SEP] the [MASK] text [PAD] and [UNK] | [cls] [Mask] [ MASK ] [[MASK]] [MASK][MASK] un[SEP]related | [unused1] [unused993] ##ing # #ing
[MASK [MASK]] ] [[ [S [SEP | [mask] ［MASK］ | [CLS] | [SEP][SEP]
"quoted" 'single' “curly” ‘curly’ „low“ «guillemets» ‹› — – ‒ ‐ ‑ - … ‥ ․ · • ‣ ¡¿ §¶†‡ ‰ ′″ ※ ⁂ ⁊ ⸮ ⸺ ⹃ ⹔ ⹝
$ € £ ¥ ₿ ¢ ¤ + − × ÷ = < > ≤ ≥ | ^ ` ~ ¬ ¦ ¨ ¯ ´ ¸ ˇ ˘ ˙ ª º ° © ® ™ ℠ | don't can't I'm they've o'clock rock'n'roll
e-mail@example.com https://example.org/a?b=c&d=e#f C:\\dir 3.14 1,000,000 10^6 a_b_c snake__case --flag ... !!! ?!?! (((a)))
pneumonoultramicroscopicsilicovolcanoconiosis floccinaucinihilipilification supercalifragilisticexpialidocious antidisestablishmentarianism
unaffable embeddings tokenization xyzzy qwrtpsdfgh aaaaaaaaaaaaaaaaaaaaaaaa The the THE tHe | ǈ ǋ ǲ | ᾳ ᾼ ᾈ ῼ ΐ | Ω Ω | ɐ Ɐ | Ꞌ Ɥ ꟋꟌꟚꟜ | Ა Ჿ
unicode marks newer than eight: a᪰b aᪿb a᫂b a᷶b aࣔb a࢘b a߽b a৾b a꣠b a𑇉b a᜴b ᙮ ٭ ۝ ࣢ ࢐ ؜ ܏ 𑂽 𑃍 𛲠 𓐰
"""
EDGES = ["", " ", "\t", "\n", "\r\n", "\u3000", "\u200b", "\u0301", "a\u0301\u0323", "\u0301a", "中", "中 中中",
         "a" * 100, "a" * 101, "a" * 99 + "é", "é" * 100, "é" * 101, "\u4e2d" * 120, "ab" * 50, "1" * 100,
         "1" * 101, "," * 101, "a\u0301" * 100, "a\u0301" * 101, "𝐚" * 100, "x" + "\u0323" * 300, "I" * 100]


def texts():
    for line in HARD.strip("\n").split("\n"):
        yield line.replace("\0", "")
    yield from EDGES
    inputs = (HERE / "tokenizer/ggml-vocab-bert-bge.gguf.inp").read_text(encoding="utf-8")
    yield from inputs.split("\n__ggml_vocab_test__\n")
    rng = random.Random(8)
    letters = [chr(c) for c in range(1, 0x20000) if 0xD800 > c or c > 0xDFFF]
    by_category = {}
    for c in letters:
        by_category.setdefault(unicodedata.category(c), []).append(c)
    for category in sorted(by_category):
        for _ in range(4):
            some = rng.choices(by_category[category], k=10)
            yield "".join(rng.choice(("", " ", "a", "E")) + c for c in some)
    for _ in range(60):
        yield "".join(rng.choice(rng.choice(list(by_category.values()))) for _ in range(20))


def main():
    reader = gguf.GGUFReader(HERE / "tokenizer/ggml-vocab-bert-bge.gguf")
    spelled = reader.fields["tokenizer.ggml.tokens"].contents()
    pieces = [p if p[0] == "[" and p[-1] == "]" else p[1:] if p[0] == "\u2581" else "##" + p for p in spelled]
    tokenizer = tokenizers.BertWordPieceTokenizer({p: i for i, p in enumerate(pieces)}, lowercase=True)
    every = list(texts())
    rng = random.Random(9)
    records = [(t, None, 512) for t in every]
    records += [(rng.choice(every), rng.choice(every), rng.choice((3, 4, 7, 8, 16, 31, 64))) for _ in range(80)]
    records += [(rng.choice(every), None, rng.choice((2, 3, 5, 12))) for _ in range(30)]
    for a, b, most in records:
        tokenizer.enable_truncation(most, strategy="longest_first")
        got = tokenizer.encode(a, b)
        print(json.dumps({"a": a, "b": b, "max": most, "ids": got.ids, "types": got.type_ids}))


main()
