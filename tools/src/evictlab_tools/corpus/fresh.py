"""Thirty-two more documents, to judge a scorer by once all else is decided: no suite holds them, and no search and no
choice of a formula has seen them. Texts alone, for evictlab-verdict, which takes them as they are.

Works that train or valid documents come from are left out, but for essays of the jargon file, whose lexicon is a valid
document; chapters of the test documents' works are not.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from evictlab_tools.corpus.catalogue import JARGON, Entry, licence_text, lookup, module, novel

VIM = "/usr/share/doc/vim/html"
FAQ = "/usr/share/doc/debian/FAQ"


def _manual(document: str, package: str, path: str, start: str, licence: str) -> Entry:
    return Entry(document, "manual", "test", package, path, start, licence)


def _essay(document: str, start: str) -> Entry:
    return Entry(document, "essay", "test", "jargon-text", JARGON, start, "public domain")


def _quotations(name: str, package: str = "fortunes") -> Entry:
    path = f"/usr/share/games/fortunes/{name}"
    return Entry(f"fortunes_{name}", "quotations", "test", package, path, "", "BSD-3-Clause")


FRESH = (
    novel("persuasion_anne", "test", "Anne, really tired herself"),
    novel("northanger_catherine", "test", "Catherine found Mrs. Allen"),
    novel("sense_they_set_off", "test", "They set off.  Marianne"),
    novel("sense_my_feelings", "test", '"No; my feelings are not often'),
    lookup("timetable", 61, "test"),
    lookup("settings", 67, "test"),
    lookup("directory", 71, "test"),
    lookup("stock", 73, "test"),
    lookup("timetable", 79, "test"),
    lookup("directory", 83, "test"),
    module("statistics", "test"),
    module("cmd", "test"),
    module("csv", "test"),
    module("pprint", "test"),
    module("difflib", "test"),
    module("smtplib", "test"),
    licence_text("LGPL-2.1", "test"),
    licence_text("GPL-1", "test"),
    licence_text("CC0-1.0", "test", "CC0-1.0"),
    licence_text("Artistic", "test"),
    _manual("vim_fold", "vim-doc", f"{VIM}/fold.html", "1. Fold methods", "OPL-1.0"),
    _manual("vim_undo", "vim-doc", f"{VIM}/undo.html", "1. Undo and redo", "OPL-1.0"),
    _manual("faq_choosing", "debian-faq", f"{FAQ}/choosing.en.html", "3.1. Which Debian", "GPL-2.0-or-later"),
    _manual("faq_pkgtools", "debian-faq", f"{FAQ}/pkgtools.en.html", "8.1. What programs", "GPL-2.0-or-later"),
    _manual("bug_reporting", "doc-debian", "/usr/share/doc/debian/bug-reporting.txt.gz", "", "OPL-1.0"),
    _essay("jargon_construction", "There are some standard methods of jargonification"),
    _essay("jargon_speech", "Hackish speech generally features"),
    _essay("jargon_portrait", "This profile reflects"),
    _quotations("people"),
    _quotations("politics"),
    _quotations("computers"),
    _quotations("riddles", "fortunes-min"),
)
