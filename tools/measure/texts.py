"""Texts of one length, made of CoLA's sentences: the same file for Primer and its peer."""

LENGTH = 128  # tokens of a long text
SPECIAL = 2  # tokens that stand around every text


def read_sentences(path):
    """[(label, sentence), ...] of a file of CoLA's form."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(line.split("\t")[1], line.split("\t")[3]) for line in lines]


def join(sentences, first, words):
    """Sentences from number `first` on, around their end, until they have so many words: a word is
    one token or more. The label is the first one's."""
    text, i = [], first
    while len(text) < words:
        text += sentences[i % len(sentences)][1].split()
        i += 1
    return f"{' '.join(text)}\t{sentences[first][0]}"


def write_long(source, folder, most, length=LENGTH):
    """Writes train.tsv and dev.tsv of texts of so many tokens and more, `most` each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in "train.tsv", "dev.tsv":
        sentences = read_sentences(source / name)
        rows = [join(sentences, i % len(sentences), length - SPECIAL) for i in range(most)]
        (folder / name).write_text("\n".join(["sentence\tlabel", *rows]) + "\n", encoding="utf-8")
