#!/usr/bin/env python3
"""Make sparse vectors from the texts of Debian's packages: TF-IDF.

    bench/make_tfidf.py [--data DIR] [--out DIR] [--trigrams] [--normalise]

reads deb_payload.tsv.gz and deb_qpayload.tsv.gz (columns name and summary) and
writes tfidf_b.tsv and tfidf_q.tsv: a line for each package, its id, a tab and
its vector as the type sparsevec writes it, so that COPY takes the file as it
is.  An element is (1 + ln tf) ln(N / df) of a word (a run of letters or
digits) with tf occurrences in this text and df texts of N that have it.
Words of queries that no base text has are left out.  With --trigrams, any
three letters in a row of a word and its bounds take the place of words:
vectors of some 40 elements instead of 9, fewer dimensions, less contrast.
"""

import argparse
import collections
import csv
import gzip
import math
import os
import re

WORD = re.compile(r"[a-z0-9]+")


def trigrams(word):
    word = f" {word} "
    return [word[at:at + 3] for at in range(len(word) - 2)]


def texts(path, by_trigram):
    """(id, counts of words or trigrams) of each row."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            words = WORD.findall((row["name"] + " " + row["summary"]).lower())
            if by_trigram:
                words = [trigram for word in words for trigram in trigrams(word)]
            yield row["id"], collections.Counter(words)


def write(path, rows, index, idf, normalise):
    with open(path, "w", encoding="ascii") as file:
        for row_id, counts in rows:
            weights = {index[word]: (1 + math.log(count)) * idf[word]
                       for word, count in counts.items() if idf.get(word, 0) > 0}
            if normalise and weights:
                norm = math.sqrt(sum(weight * weight for weight in weights.values()))
                weights = {at: weight / norm for at, weight in weights.items()}
            elements = ",".join(f"{at}:{weights[at]:.6g}" for at in sorted(weights))
            file.write(f"{row_id}\t{{{elements}}}/{len(index)}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="bench/data", help="folder of the payloads")
    parser.add_argument("--out", default="bench/data", help="folder to write to")
    parser.add_argument("--trigrams", action="store_true", help="instead of words")
    parser.add_argument("--normalise", action="store_true", help="to unit length")
    options = parser.parse_args()

    base = list(texts(os.path.join(options.data, "deb_payload.tsv.gz"), options.trigrams))
    queries = texts(os.path.join(options.data, "deb_qpayload.tsv.gz"), options.trigrams)
    df = collections.Counter()
    for _, counts in base:
        df.update(counts.keys())
    # sparsevec counts its dimensions from 1
    index = {word: at for at, word in enumerate(sorted(df), 1)}
    idf = {word: math.log(len(base) / n) for word, n in df.items()}
    write(os.path.join(options.out, "tfidf_b.tsv"), base, index, idf, options.normalise)
    write(os.path.join(options.out, "tfidf_q.tsv"), queries, index, idf, options.normalise)


if __name__ == "__main__":
    main()
