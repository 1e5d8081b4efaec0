"""Make src/sparring/data/names.txt from the lists that the PyPI package names carries.

They are the given names of the United States Census of 1990 (dist.female.first and dist.male.first), a work of the
United States government and so in the public domain. The package's code, which we do not use, is under the MIT licence.

Run `pip install names`, then `python scripts/make_names.py`. The same bytes come out each time.
"""

from importlib.resources import files
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "src" / "sparring" / "data" / "names.txt"
LISTS = ("dist.female.first", "dist.male.first")


def main() -> None:
    rows = [line for name in LISTS for line in files("names").joinpath(name).read_text("ascii").splitlines()]
    names = sorted({row.split()[0].capitalize() for row in rows})
    TARGET.write_text("\n".join(names) + "\n", encoding="ascii")
    print(f"{TARGET}: {len(names):,} names, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
