"""Names that users type: the nearest right one for a wrong one, and lists."""

import difflib
import re

from study.fault import wrong_use


def plain(name):
    """Lower-case letters and digits alone: how names are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def nearest(word, names):
    """The one of the names that the word was probably meant to be, or None."""
    by_plain = {plain(name): name for name in reversed(list(names))}
    starts = [name for name in by_plain if len(plain(word)) >= 3 and name.startswith(plain(word))]
    close = starts or difflib.get_close_matches(plain(word), by_plain, 1, 0.6)
    return by_plain[close[0]] if close else None


def unknown(option, word, names):
    """The fault of a word that is none of the names."""
    guess = nearest(word, names)
    if guess:
        return wrong_use(f"unknown {option} '{word}': did you mean '{guess}'?")
    return wrong_use(f"unknown {option} '{word}': it is one of {', '.join(names)}")


def split_list(option, text):
    """The words between commas, each once."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise wrong_use(f"{option} takes names with commas between, found '{text}'")
    return list(dict.fromkeys(words))


def count(n, what):
    """'1 run', '2 runs'."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
