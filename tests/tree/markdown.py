# SPDX-License-Identifier: Apache-2.0
"""What the tests of documents ask of a page in Markdown: its headings, its blocks of code, the code between its words,
its links. Blocks are those that are indented; ours have no fences."""
import re

ITEM = re.compile(r"^(?:\d+\.|[-*]) +")
HEADING = re.compile(r"^(#+) (.*)$", re.M)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_comment(line):
    """A line of code without what is for people."""
    return re.split(r"\s{2,}#", line)[0].rstrip()


def anchor(title):
    """What a link to a heading says after the #."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class Page:
    """headings  (level, text) of each
    blocks    of each its lines, without their indent
    spans     texts between backquotes
    code      all code in the order of the page: lines of blocks, and spans
    links     where they lead
    text      all of it"""

    def __init__(self, text):
        self.text = text
        self.headings, self.blocks, self.spans, self.code, self.links = [], [], [], [], []
        self._prose = []
        in_code, after_blank, inner = False, True, 0
        for line in text.splitlines():
            if not line.strip():
                after_blank = True
                continue
            item, indent = ITEM.match(line), len(line) - len(line.lstrip())
            inner = item.end() if item else inner if indent else 0  # where the text of a list's item begins
            was_code = in_code
            in_code = not item and indent >= inner + 4 and (after_blank or was_code)
            if in_code:
                self._end_prose()
                self.blocks += [] if was_code else [[]]
                self.blocks[-1].append(line[inner + 4:])
                self.code.append(line[inner + 4:])
            else:
                self._prose.append(line)
            after_blank = False
        self._end_prose()

    def _end_prose(self):
        text = "\n".join(self._prose)
        self.headings += [(len(level), title) for level, title in HEADING.findall(text)]
        spans = [" ".join(span.split()) for span in SPAN.findall(text)]
        self.spans += spans
        self.code += spans
        self.links += LINK.findall(text)
        self._prose = []
