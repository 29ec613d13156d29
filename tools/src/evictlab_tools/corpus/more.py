"""Forty-eight more documents to train on, of works that train documents come from or that no split has. No suite holds
them; evictlab-verdict and evictlab-tune take the texts as they are."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from evictlab_tools.corpus.catalogue import GIT, Entry, licence_text, lookup, module, novel


def _git(name: str, start: str) -> Entry:
    return Entry(f"git_{name}", "manual", "train", "git-doc", f"{GIT}/{name}.txt", start, "GPL-2.0-only")


def _anarchism(section: str) -> Entry:
    path = f"/usr/share/doc/anarchism/html/{section}.html"
    return Entry(f"anarchism_{section}", "essay", "train", "anarchism", path, "", "GPL-2.0-or-later")


def _quotations(name: str) -> Entry:
    path = f"/usr/share/games/fortunes/{name}"
    return Entry(f"fortunes_{name}", "quotations", "train", "fortunes", path, "", "BSD-3-Clause")


def _table(name: str, file: str) -> Entry:
    return Entry(f"table_{name}", "table", "train", "miscfiles", f"/usr/share/misc/{file}", "", "GPL-2.0-or-later")


MORE = (
    novel("emma_opinion", "train", '"I do not know what your opinion may be, Mrs. Weston'),
    module("zipfile", "train"),
    lookup("directory", 101, "train"),
    _git("git-rebase", ""),
    novel("emma_harriet", "train", "Harriet submitted, though her mind"),
    module("ipaddress", "train"),
    lookup("settings", 103, "train"),
    _anarchism("secB1"),
    novel("emma_could_not_forgive", "train", "Emma could not forgive her"),
    module("configparser", "train"),
    lookup("stock", 107, "train"),
    _quotations("work"),
    novel("emma_enscombe", "train", "Enscombe however was gracious"),
    module("mailbox", "train"),
    lookup("timetable", 109, "train"),
    _git("gitattributes", ""),
    novel("pride_horses", "train", '"But, my dear, your father cannot spare'),
    module("optparse", "train"),
    lookup("directory", 113, "train"),
    _anarchism("secC1"),
    novel("pride_unlucky", "train", '"It is unlucky," said she, after a short'),
    module("threading", "train"),
    lookup("settings", 127, "train"),
    _quotations("definitions"),
    novel("pride_rosings", "train", "The two gentlemen left Rosings"),
    module("random", "train"),
    lookup("stock", 131, "train"),
    _git("githooks", ""),
    novel("pride_drawing_room", "train", "But on returning to the drawing-room"),
    module("tempfile", "train"),
    lookup("timetable", 137, "train"),
    _git("gitworkflows", ""),
    licence_text("GFDL-1.2", "train"),
    module("shutil", "train"),
    lookup("directory", 139, "train"),
    _git("MyFirstContribution", ""),
    _anarchism("secB3"),
    module("wave", "train"),
    lookup("settings", 149, "train"),
    _quotations("education"),
    _git("gitprotocol-pack", ""),
    module("gettext", "train"),
    lookup("stock", 151, "train"),
    _table("currency", "currency.gz"),
    _git("user-manual", ""),
    module("plistlib", "train"),
    lookup("timetable", 157, "train"),
    _anarchism("intro"),
)
