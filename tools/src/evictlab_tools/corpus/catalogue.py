"""The documents of the suites, 16 to train on, 16 to validate and 16 to test; kinds alternate, so that the first few
of a split differ in kind. No two splits share a work."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

AUSTEN = "/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
JARGON = "/usr/share/doc/jargon-text/jargon.txt.gz"
GIT = "/usr/share/doc/git-doc"
VERBATIM = "verbatim copies permitted"


@dataclass(frozen=True)
class Entry:
    document: str
    kind: str
    split: str
    package: str  # Debian's; or "python" for the standard library, or "lookup" for generated lists
    path: str  # in the package; the module's file; or STYLE:SEED
    start: str  # the document begins with the first line that begins so
    licence: str
    shipped_layers: tuple[int, ...] = ()  # of SmolLM2-135M; empty: not in the shipped suite
    needles: int = 0  # the seed of sentences that are put into the text and asked for; 0: none


def novel(title: str, split: str, start: str, layers: tuple[int, ...] = ()) -> Entry:
    return Entry(title, "prose", split, "r-cran-janeaustenr", AUSTEN, start, "public domain", layers)


def module(name: str, split: str, layers: tuple[int, ...] = ()) -> Entry:
    return Entry(f"python_{name}", "code", split, "python", f"{name}.py", "", "PSF-2.0", layers)


def lookup(style: str, seed: int, split: str, layers: tuple[int, ...] = ()) -> Entry:
    return Entry(f"list_{style}_{seed}", "list_lookup", split, "lookup", f"{style}:{seed}", "", "MIT", layers)


def licence_text(name: str, split: str, licence: str = VERBATIM, layers: tuple[int, ...] = ()) -> Entry:
    path = f"/usr/share/common-licenses/{name}"
    return Entry(f"licence_{name}", "legal", split, "base-files", path, "", licence, layers)


CATALOGUE = (
    novel("emma", "train", "Mr. Knightley, a sensible man", (1, 14, 28)),
    module("heapq", "train", (7, 14, 21)),
    lookup("directory", 11, "train", (1, 14, 21)),
    licence_text("Apache-2.0", "train", layers=(7, 21, 28)),
    Entry("git_tutorial", "manual", "train", "git-doc", f"{GIT}/gittutorial.txt", "This tutorial", "GPL-2.0-only"),
    Entry(
        "anarchism_faq",
        "essay",
        "train",
        "anarchism",
        "/usr/share/doc/anarchism/html/secA1.html",
        "Anarchism is a political",
        "GPL-2.0-or-later",
    ),
    Entry("airports", "table", "train", "miscfiles", "/usr/share/misc/airport.gz", "AAL", "GPL-2.0-or-later"),
    Entry("fortunes_wisdom", "quotations", "train", "fortunes", "/usr/share/games/fortunes/wisdom", "", "BSD-3-Clause"),
    novel("pride_and_prejudice", "train", "Mr. Bennet was so odd"),
    module("calendar", "train"),
    lookup("settings", 13, "train"),
    licence_text("GFDL-1.3", "train"),
    Entry("git_core", "manual", "train", "git-doc", f"{GIT}/gitcore-tutorial.txt", "Back when this", "GPL-2.0-only"),
    lookup("stock", 17, "train"),
    Entry("countries", "table", "train", "miscfiles", "/usr/share/misc/countries.gz", "004:AF", "GPL-2.0-or-later"),
    Entry("fortunes_law", "quotations", "train", "fortunes", "/usr/share/games/fortunes/law", "", "BSD-3-Clause"),
    Entry(
        "developers_reference",
        "manual",
        "valid",
        "developers-reference",
        "/usr/share/developers-reference/developer-duties.html",
        "As a package maintainer",
        "GPL-2.0-or-later",
        (1, 14, 28),
    ),
    lookup("stock", 23, "valid", (7, 14, 21)),
    novel("mansfield_park", "valid", "The little girl performed"),
    module("fractions", "valid"),
    licence_text("MPL-2.0", "valid"),
    Entry(
        "debian_history",
        "essay",
        "valid",
        "debian-history",
        "/usr/share/doc/debian-history/docs/detailed.en.html",
        "Debian was begun in",
        "GPL-2.0-or-later",
    ),
    lookup("timetable", 29, "valid"),
    Entry("jargon_lexicon", "reference", "valid", "jargon-text", JARGON, ":bandwidth:", "public domain"),
    module("argparse", "valid"),
    lookup("directory", 43, "valid"),
    licence_text("MPL-1.1", "valid"),
    Entry(
        "fortunes_science", "quotations", "valid", "fortunes", "/usr/share/games/fortunes/science", "", "BSD-3-Clause"
    ),
    lookup("settings", 47, "valid"),
    module("tarfile", "valid"),
    Entry("cities", "table", "valid", "miscfiles", "/usr/share/misc/cities.dat.gz", "ID ", "GPL-2.0-or-later"),
    lookup("timetable", 53, "valid"),
    novel("persuasion", "test", "Mr Shepherd, a civil", (7, 14, 28)),
    lookup("timetable", 31, "test", (1, 14, 21)),
    module("textwrap", "test"),
    licence_text("GPL-3", "test"),
    Entry(
        "vim_manual", "manual", "test", "vim-doc", "/usr/share/doc/vim/html/usr_03.html", "Before you can", "OPL-1.0"
    ),
    Entry("jargon_writing", "essay", "test", "jargon-text", JARGON, "We've already seen that hackers", "public domain"),
    lookup("settings", 37, "test"),
    novel("northanger_abbey", "test", "Every morning now"),
    module("queue", "test"),
    Entry(
        "debian_constitution",
        "legal",
        "test",
        "doc-debian",
        "/usr/share/doc/debian/constitution.txt.gz",
        "1. Introduction",
        "OPL-1.0",
    ),
    Entry(
        "debian_faq",
        "manual",
        "test",
        "debian-faq",
        "/usr/share/doc/debian/FAQ/pkg-basics.en.html",
        "Packages generally contain",
        "GPL-2.0-or-later",
    ),
    Entry(
        "fortunes_literature",
        "quotations",
        "test",
        "fortunes-min",
        "/usr/share/games/fortunes/literature",
        "",
        "BSD-3-Clause",
    ),
    lookup("directory", 41, "test"),
    Entry("jargon_folklore", "essay", "test", "jargon-text", JARGON, "“The word {hack} doesn", "public domain"),
    novel("sense_and_sensibility", "test", "Mrs. Dashwood remained"),
    module("shlex", "test"),
)


def select(train: int, valid: int, test: int) -> list[Entry]:
    """The first so many of each split."""
    wanted = {"train": train, "valid": valid, "test": test}
    return [entry for split, number in wanted.items() for entry in [e for e in CATALOGUE if e.split == split][:number]]


def shipped() -> list[Entry]:
    return [entry for entry in CATALOGUE if entry.shipped_layers]


def of_second_model(entries: Sequence[Entry]) -> list[Entry]:
    """The test documents, as those of a model that no search saw."""
    return [replace(entry, split="test_other_model") for entry in entries if entry.split == "test"]


def needles(title: str, split: str, start: str, seed: int) -> Entry:
    """A novel's text with a few numbers in it, which questions at its end ask for."""
    document, package = f"needles_{title}_{seed}", "r-cran-janeaustenr"
    return Entry(document, "prose_lookup", split, package, AUSTEN, start, "public domain", needles=seed)


# Of a suite of its own, so that those with published figures stay as they are.
LOOKUP = (
    needles("emma", "train", "Harriet slept at Hartfield that night", 201),
    needles("emma", "train", "Small heart had Harriet for visiting", 203),
    needles("pride", "train", "When the ladies removed after dinner", 205),
    needles("pride", "train", "Colonel Fitzwilliam's manners were very", 207),
    needles("mansfield", "valid", "Mr. Bertram set off for", 211),
    needles("mansfield", "valid", "A quarter of an hour, twenty minutes", 213),
    needles("mansfield", "valid", "Fanny's consequence increased on the", 215),
    needles("mansfield", "valid", "William's desire of seeing Fanny dance", 217),
    needles("persuasion", "test", "He was not Mr Wentworth, the former", 221),
    needles("persuasion", "test", "From this time Captain Wentworth and", 223),
    needles("persuasion", "test", "There was one point which Anne, on", 225),
    needles("northanger", "test", "With more than usual eagerness did", 227),
    needles("northanger", "test", "In spite of Udolpho and the dressmaker", 229),
    needles("northanger", "test", "Catherine's expectations of pleasure", 231),
    needles("sense", "test", "Their intended excursion to Whitwell", 233),
    needles("sense", "test", "Before the house-maid had lit their fire", 235),
)


def debian_packages() -> list[str]:
    return sorted({entry.package for entry in CATALOGUE} - {"python", "lookup"})
