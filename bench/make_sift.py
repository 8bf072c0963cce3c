#!/usr/bin/env python3
"""Make the SIFT data set from the wallpapers that Debian ships.

Real local image descriptors: 128 integers of 0 to 255.  The queries come from
other photographs than the base, as a search's queries do.

    apt-get install python3-opencv python3-numpy libopenblas0 \\
        plasma-workspace-wallpapers lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 \\
        gnome-backgrounds mate-backgrounds ukui-wallpapers
    bench/make_sift.py                  # with Debian's python3

writes sift_b.npy and sift_q.npy (uint8), and sift_gt.i32 with the 100 nearest
base rows of each query by L2 distance, into bench/data.
"""

import argparse
import hashlib
import os

import cv2
import numpy as np

from omenbench.datasets import nearest

FOLDERS = ("/usr/share/wallpapers", "/usr/share/backgrounds")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LONGEST_SIDE = 2600             # pixels; larger pictures are scaled down
MOST_PER_PICTURE = 30000        # descriptors, so that no picture dominates
QUERY_SHARE = 20                # one picture in so many is for queries


def pictures(folders):
    """One file of each picture, in an order that depends on their names alone.

    Plasma keeps a picture in many sizes under .../contents/: the largest file
    is taken.
    """
    largest = {}
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                if not name.lower().endswith(SUFFIXES):
                    continue
                path = os.path.join(folder, name)
                picture = folder.split("/contents")[0] if "/contents" in folder else path
                size = os.path.getsize(path)
                if size > largest.get(picture, (0, ""))[0]:
                    largest[picture] = (size, path)
    return sorted((path for _, path in largest.values()),
                  key=lambda path: hashlib.sha256(path.encode()).digest())


def descriptors(path, sift, random):
    """Distinct descriptors of a picture, uint8; None if it cannot be read."""
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        return None
    scale = LONGEST_SIDE / max(picture.shape)
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = sift.detectAndCompute(picture, None)[1]
    if found is None:
        return None
    found = np.unique(found.astype(np.uint8), axis=0)
    if len(found) > MOST_PER_PICTURE:
        found = random.choice(found, MOST_PER_PICTURE, replace=False)
    return found


def collect(args, random):
    """Base and query descriptors, shuffled."""
    sift = cv2.SIFT_create(contrastThreshold=0.01, edgeThreshold=20)
    base, queries = [], []
    n_base = 0
    for number, path in enumerate(pictures(args.folder or FOLDERS)):
        found = descriptors(path, sift, random)
        if found is None:
            continue
        if number % QUERY_SHARE == 0:
            queries.append(found)
        else:
            base.append(found)
            n_base += len(found)
        print(f"{number + 1} pictures, {n_base:,} base descriptors", flush=True)
        if n_base >= args.base:
            break
    if not base or not queries:
        raise SystemExit("no pictures found: install the packages named in --help")
    return (random.permutation(np.concatenate(base))[:args.base],
            random.permutation(np.concatenate(queries))[:args.queries])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=1000000, help="at most so many base descriptors")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--folder", action="append", help="of pictures, instead of Debian's wallpapers")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    args = parser.parse_args()

    base, queries = collect(args, np.random.default_rng(1))
    os.makedirs(args.out, exist_ok=True)
    np.save(os.path.join(args.out, "sift_b.npy"), base)
    np.save(os.path.join(args.out, "sift_q.npy"), queries)
    print(f"base {base.shape}, queries {queries.shape}; computing the truth", flush=True)
    truth = nearest("l2", base, queries, 100)
    truth.astype(np.int32).tofile(os.path.join(args.out, "sift_gt.i32"))


if __name__ == "__main__":
    main()
