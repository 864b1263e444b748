"""The command line and the output that compare.py and own.py share."""

import argparse
from pathlib import Path


def binary(path):
    return str(Path(path).resolve())


def parse(doc, **more):
    """@param more  options of one program only: name to keywords of add_argument"""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries")
    parser.add_argument("steerway", type=binary)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="contenders whose names begin so")
    parser.add_argument("--measures")
    parser.add_argument("--scale", type=float, default=1.0, help="how much is done for a figure; below 0.1 figures say little")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--docs", type=Path, help="the page whose table is to be replaced")
    for name, keywords in more.items():
        parser.add_argument(f"--{name}", **keywords)
    return parser.parse_args()


def write(args, marker, text, figures, picture):
    print(text)
    for path, what in ((args.json, figures), (args.table, text), (args.plot, picture)):
        if path:
            path.write_text(what)
    if args.docs:
        before, rest = args.docs.read_text().split(f"<!-- {marker} -->\n")
        after = rest.split(f"<!-- /{marker} -->\n")[1]
        args.docs.write_text(f"{before}<!-- {marker} -->\n{text}<!-- /{marker} -->\n{after}")
