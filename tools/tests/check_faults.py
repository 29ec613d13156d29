"""Kills, hangs and cuts off parts of searches at random moments, and holds what they end in to one that was left alone.

    check_faults.py PROGRAM [--times N] [--seed N] [--places local,network,ray]

PROGRAM is evictlab. A search is small, and real but for its judges, whose figures are hashes. scripts/check-faults
builds what it needs.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fault_places import PATIENT, Fault, Network, OnRay, Place, has_ray
from fault_processes import all_end, kill_all
from search_harness import FARM, JUDGE, SEARCH, answers, bits

PLACES: dict[str, type[Place]] = {"local": Place, "network": Network, "ray": OnRay}
GENERATIONS = "6"
LONGEST = 300.0  # seconds that a search may take, all hangs and cuts included, before it counts as hung itself
TO_END = 60.0  # seconds until all that a search started has ended; the network tells late of a cable that was cut
MOST_STOPS = 25


class Different(Exception):
    """What came out is not what should, in words."""


class Search:
    """A run in a folder of its own, with all its processes."""

    def __init__(self, program: Path, folder: Path, mark: str) -> None:
        self.state, self.told = folder / "run.json", folder / "told"
        self._program, self._mark = program, mark

    def start(self, judge: Sequence[str], documents: Sequence[str], silence: int = 300) -> subprocess.Popen[bytes]:
        """From its beginning, or where it stopped. `silence`: seconds in which a judge counts as lost."""
        command = [str(self._program), "evolve", "--state", str(self.state), "--generations", GENERATIONS, "--threads"]
        command += ["1", "--verdict", shlex.join(judge), "--verdict-timeout", str(silence)]
        for one in documents:
            command += ["--fitness-worker", one]
        command += ["--fitness-timeout", "4"] if documents else []
        command += [*SEARCH, *(["--resume"] if self.state.exists() else [])]
        environment = {**os.environ, **dict([self._mark.split("=", 1)])}
        with self.told.open("ab") as told:
            return subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=told, env=environment, start_new_session=True
            )

    def last_words(self) -> str:
        lines = self.told.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it told nothing"


class Campaign:
    def __init__(self, program: Path, folder: Path, seed: int) -> None:
        self._program, self._folder, self._chance = program, folder, random.Random(seed)
        self._mark = f"EVICTLAB_FAULTS={os.getpid()}"
        self._number = 0
        self.struck: Counter[tuple[str, str]] = Counter()
        self.stops, self.searches = 0, 0

    def _search(self) -> Search:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        return Search(self._program, folder, self._mark)

    def alone(self) -> Path:
        """By one judge and one process, and nothing befalls it."""
        search = self._search()
        if search.start(JUDGE, []).wait(LONGEST) != 0:
            raise Different(f"a search that is left alone fails: {search.last_words()}")
        return search.state

    def at(self, kind: type[Place], plain: Path, times: int) -> None:
        """So many faults, one to three a search."""
        with ExitStack() as stack:
            place = kind(self._program, self._mark, self._chance)
            stack.callback(kill_all, self._mark)
            place.open(stack)
            begin = time.monotonic()
            self._run(place, plain, [])
            usual = time.monotonic() - begin
            print(f"{place.name}: {usual:.1f} s a search where nothing befalls it", flush=True)
            deck: list[Fault] = []
            done = 0
            while done < times:
                coming = []
                for _ in range(min(self._chance.choice((1, 1, 2, 3)), times - done)):
                    deck = deck or self._chance.sample(place.faults(), len(place.faults()))
                    coming.append(deck.pop())
                struck = self._run(place, plain, coming, usual)
                done += len(struck)
                deck += coming[len(struck) :]  # it was over before they came

    def _run(self, place: Place, plain: Path, coming: Sequence[Fault], usual: float = 0.0) -> Sequence[Fault]:
        struck: list[Fault] = []
        search, stops = self._search(), 0
        while True:
            process = search.start([*FARM, *PATIENT, *place.farm()], place.documents(), place.silence)
            ends = {0}
            while len(struck) < len(coming):
                try:
                    process.wait(self._chance.uniform(0, usual))
                    break
                except subprocess.TimeoutExpired:
                    if coming[len(struck)].strike():
                        ends.update(coming[len(struck)].ends)
                        struck.append(coming[len(struck)])
            code = self._end(process, search)
            if code == 0:
                break
            stops += 1
            if code not in ends or stops > MOST_STOPS:
                raise Different(self._told(place, struck, f"evolve ended with {code}: {search.last_words()}", search))
        self._compare(place, search, plain, struck)
        self.searches, self.stops = self.searches + 1, self.stops + stops
        for fault in struck:
            self.struck[place.name, fault.words] += 1
        if struck:
            words = "; ".join(fault.words for fault in struck)
            print(f"{sum(self.struck.values()):>3} {words}: the same bits, {stops} stops", flush=True)
        return struck

    def _end(self, process: subprocess.Popen[bytes], search: Search) -> int:
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            raise Different(f"evolve hangs ({search.told})") from None

    def _compare(self, place: Place, search: Search, plain: Path, struck: Sequence[Fault]) -> None:
        if left := all_end(self._mark, TO_END):
            raise Different(self._told(place, struck, f"{left[0].words} outlives it", search))
        if '  File "' in search.told.read_text(errors="replace"):
            raise Different(self._told(place, struck, "a stack trace was told", search))
        if bits(search.state) != bits(plain):
            raise Different(self._told(place, struck, "the run differs from one that was left alone", search))
        if answers(search.state) != answers(plain):
            raise Different(self._told(place, struck, "its judge's answers differ", search))

    @staticmethod
    def _told(place: Place, struck: Sequence[Fault], what: str, search: Search) -> str:
        return f"{place.name}, {'; '.join(fault.words for fault in struck)}: {what} ({search.told})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="check-faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--times", type=int, default=50, help="faults, in all (50)")
    parser.add_argument("--seed", type=int, default=1, help="of what befalls whom, and when (1)")
    parser.add_argument("--places", help="of local, network (root, for network namespaces) and ray (Ray); default: all "
                        "that can be had here")  # fmt: skip
    given = parser.parse_args()
    possible = ["local", *(["network"] if os.geteuid() == 0 else []), *(["ray"] if has_ray() else [])]
    places = given.places.split(",") if given.places else possible
    folder = Path(tempfile.mkdtemp(prefix="evictlab-faults-"))
    campaign = Campaign(given.program.resolve(), folder, given.seed)
    try:
        plain = campaign.alone()
        for at, name in enumerate(places):
            share = given.times * (at + 1) // len(places) - given.times * at // len(places)
            campaign.at(PLACES[name], plain, share)
    except Different as different:
        print(f"error: {different}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print("\nfaults  what befell whom")
    for (name, words), number in sorted(campaign.struck.items()):
        print(f"{number:>6}  {name}: {words}")
    total = sum(campaign.struck.values())
    print(f"{total} faults in {campaign.searches} searches, {campaign.stops} stops to go on from: always the same bits")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that hosts and processes are put away
    sys.exit(main())
