#!/usr/bin/env python3
"""Writes src/reward/rules/ifeval/text_data.json.z: the n-gram profiles of langdetect and the English model of punkt.

usage: tools/make_ifeval_data.py LANGDETECT_FOLDER PUNKT_TAB_ENGLISH_FOLDER
The first is the installed package langdetect (1.0.9), the second tokenizers/punkt_tab/english of NLTK's data.
The output is a zlib stream of one JSON object and depends on nothing else.
"""
import json
import pathlib
import re
import sys
import zlib


def profiles(package):
    out = {}
    for path in sorted((package / "profiles").iterdir()):
        profile = json.loads(path.read_text(encoding="utf-8"))
        out[profile["name"]] = {"totals": profile["n_words"], "grams": dict(sorted(profile["freq"].items()))}
    return out


def kanji_classes(package):
    text = (package / "utils" / "messages.properties").read_text(encoding="utf-8")
    lines = re.findall(r"^NGram\.KANJI_\d+_\d+=(.*)$", text, re.MULTILINE)
    return [line.encode().decode("unicode_escape") for line in lines]


def sentences(folder):
    def lines(name):
        return [line for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]
    context = dict(line.rsplit("\t", 1) for line in lines("ortho_context.tab"))
    return {
        "abbreviations": sorted(lines("abbrev_types.txt")),
        "starters": sorted(lines("sent_starters.txt")),
        "collocations": sorted(line.split("\t") for line in lines("collocations.tab")),
        "context": {word: int(flags) for word, flags in sorted(context.items())},
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    package, punkt = map(pathlib.Path, sys.argv[1:])
    data = {"profiles": profiles(package), "kanji": kanji_classes(package), "sentences": sentences(punkt)}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    out = pathlib.Path(__file__).parent.parent / "src/reward/rules/ifeval/text_data.json.z"
    out.write_bytes(zlib.compress(text, 9))


main()
