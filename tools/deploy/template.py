# SPDX-License-Identifier: Apache-2.0
"""A configuration for each host, made from one template. Pure.

    @KEY@             the value that the host's line has for KEY
    @list:KEY@        the same, cut at its commas, as a list of strings: "a", "b"
    @local:ACCESS@    true when the line has local=ACCESS, else false
    @name@            the host's name

and what depends on the kind of the host: @state-directory@, @control-socket@."""
import re

from hosts import Bad

PLACE = re.compile(r"@([a-z][a-z0-9-]*)(?::([A-Za-z0-9._-]+))?@")


def quoted_list(value):
    return ", ".join(f'"{item}"' for item in value.split(",") if item)


def replace(kind, argument, words):
    """The text in place of one mark; KeyError: the host has no such word."""
    if argument is None:
        return words[kind]
    if kind == "local":
        return "true" if words.get("local") == argument else "false"
    if kind == "list":
        return quoted_list(words[argument])
    return None


def fill(template, name, host, of_kind):
    """The configuration of a host; `of_kind`: the words that its kind gives."""
    words = {**of_kind, **host.words(), "name": host.name}
    lines = []
    for number, line in enumerate(template.splitlines(keepends=True), 1):
        def put(mark, number=number):
            where = f"{name}:{number}: {mark[0]}"
            try:
                text = replace(mark[1], mark[2], words)
            except KeyError as key:
                raise Bad(f"{where}: {host.name} ({host.where}) has no {key.args[0]}=..., expected one") from None
            if text is None:
                raise Bad(f"{where}: expected @KEY@, @list:KEY@ or @local:ACCESS@")
            return text
        lines.append(PLACE.sub(put, line))
    return "".join(lines)


def check_words(template, name, host):
    """A word that the template has no place for is a mistake of typing, or a template without marks."""
    used = {mark[2] if mark[1] == "list" else mark[1] for mark in PLACE.finditer(template)}
    for key in host.words():
        if key not in used:
            place = "@local:ACCESS@" if key == "local" else f"@{key}@"
            raise Bad(f"{host.where}: {key}: {name} has no place for it, expected {place} there")


def check_local(template, host):
    """`local` must name an access for which the template asks."""
    asked = [mark[2] for mark in PLACE.finditer(template) if mark[1] == "local" and mark[2]]
    wanted = host.words().get("local")
    if wanted is not None and asked and wanted not in asked:
        raise Bad(f"{host.where}: local={wanted}: expected one of {', '.join(asked)}")
