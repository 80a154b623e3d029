# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the bench is and how long it will still take."""

import json
import time


class Progress:
    """Says so at the start of each section and repetition. Seconds that a repetition of a section takes are those of the
    last run, which it keeps in a file, or the usual ones; what has passed so far tells how fast this run is."""

    def __init__(self, path, kind, usual, repetitions, say, clock=time.monotonic):
        self.path, self.kind, self.repetitions, self.say, self.clock = path, kind, repetitions, say, clock
        try:
            with open(path, encoding="utf-8") as file:
                self.kept = json.load(file)
        except (OSError, ValueError):
            self.kept = {}
        known = self.kept.setdefault(kind, {})
        self.expected = {section: known.get(section, seconds) for section, seconds in usual.items()}
        self.sections = list(usual)
        self.place = self.round = 0
        self.begin = None
        self.began = clock()

    def section(self, name):
        self.keep()
        self.place, self.round, self.begin = self.sections.index(name), 0, self.clock()
        self.tell("")

    def repetition(self, number):
        self.round = number
        if number:
            self.tell(f" repetition {number + 1} of {self.repetitions},")

    def done(self):
        """The last section is over."""
        self.keep()
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.kept, file)

    def keep(self):
        if self.begin is not None:
            self.kept[self.kind][self.sections[self.place]] = (self.clock() - self.begin) / self.repetitions

    def tell(self, where):
        expected = [seconds * self.repetitions for seconds in self.expected.values()]
        over = sum(expected[:self.place]) + expected[self.place] * self.round / self.repetitions
        left = sum(expected) - over
        if over >= 10:
            left *= (self.clock() - self.began) / over
        about = f"{int(left / 60 + 0.5)} minutes" if left > 120 else f"{left:.0f} seconds"
        self.say(f"measuring: {self.sections[self.place]} ({self.place + 1} of {len(expected)}),{where} about {about} left")
