#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the completion of bash or zsh from what the commands say of their options, which are tables (tools/options.h).

Usage: make.py bash|zsh HELP FILE...    HELP: what `reroute help` prints; each FILE: what a command prints for --help"""
import re
import sys

COMMAND = re.compile(r"^  ([a-z-]+) +(\S.*)$", re.M)
USAGE = re.compile(r"^Usage: reroute (\S+(?: [a-z-]+)?) \[OPTION\.\.\.\](?: (.*))?$", re.M)
OPTION = re.compile(r"^  (?:-(\w)(?:, |  )|    )(?:--([a-z-]+)(\[)?(?:[ =]([^\s\]]+)\]?)?)? {1,}(\S.*)$", re.M)
SETTING = re.compile(r"([a-z-]+)=([\w|-]+)")
LISTED = re.compile(r"(\w+) \(default\), (\w+(?:, \w+)*) or (\w+)")
CHOICES = re.compile(r"[a-z0-9_-]+(\|[a-z0-9_-]+)+")


class Option:
    def __init__(self, letter, name, optional, argument, text):
        self.names = ([f"-{letter}"] if letter else []) + ([f"--{name}"] if name else [])
        self.argument, self.optional, self.text = argument or "", bool(optional), text

    def value(self):
        """What its argument is: a list of words, "files", "accesses", "" for anything else; None: it has none."""
        if not self.argument or self.optional:
            return None
        if "=" in self.argument:
            return settings(self.text)
        listed = LISTED.fullmatch(self.text)
        return re.findall(r"\w+", " ".join(listed.groups())) if listed else kind(self.argument)


def settings(text):
    """The words of "a=on|off, b=on|NUMBER": what stands in capitals is for people to choose."""
    return [f"{key}={value}" for key, values in SETTING.findall(text) for value in values.split("|") if value.islower()] or ""


def kind(argument):
    if CHOICES.fullmatch(argument):
        return argument.split("|")
    if "ACCESS" in argument:
        return "accesses"
    return "files" if re.search(r"FILE|PATH|TEMPLATE|JOURNAL|DIRECTORY", argument) else "hosts" if "TARGET" in argument else ""


class Command:
    def __init__(self, text):
        self.name, operands = USAGE.search(text).groups()
        self.operands = kind(operands or "")
        self.options = [Option(*found) for found in OPTION.findall(text) if found[0] or found[1]]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# --- bash --------------------------------------------------------------------------------------------------------

BASH = """# SPDX-License-Identifier: Apache-2.0
# Completion of reroute for bash.

# The accesses that the agent knows, the one that the line means. Bash cuts --config=FILE into three words.
_reroute_accesses()
{
    local at name value given=()
    for ((at = 2; at < COMP_CWORD - 1; at++)); do
        name=${COMP_WORDS[at]}
        case $name in
        -c | --config | --socket)
            [[ ${COMP_WORDS[at + 1]} != "=" ]] || ((++at))
            value=${COMP_WORDS[at + 1]}
            given+=("$name" "${value/#\\~\\//$HOME/}")
            ;;
        esac
    done
    reroute status "${given[@]}" 2>/dev/null | sed -n 's/^[> ] \\([^ ]*\\)  *\\(data\\|secondary\\|management\\) .*/\\1/p' | sort -u
}

# One of: accesses, files, hosts, or "words" and what they are.
_reroute_offer()
{
    case $1 in
    accesses) COMPREPLY=($(compgen -W "$(_reroute_accesses)" -- "$word")) ;;
    files)
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$word"))
        ;;
    hosts) COMPREPLY=($(compgen -A hostname -- "$word")) ;;
    words) COMPREPLY=($(compgen -W "$2" -- "$word")) ;;
    esac
}

_reroute()
{
    local IFS=$' \\t\\n' word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} before
    before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _reroute_offer words "@commands@ help --help --version"
        return
    fi
    if [[ $command == help ]]; then
        ((COMP_CWORD > 2)) || _reroute_offer words "@commands@"
        return
    fi
    if [[ $command == bench ]]; then
        if ((COMP_CWORD == 2)); then
            _reroute_offer words "@studies@ --help"
            return
        fi
        command="bench ${COMP_WORDS[2]}"
    fi
    case "$command $before" in
@values@
    esac
    case $command in
@options@
    esac
}

complete -F _reroute reroute
"""


def bash_offer(value):
    return f'_reroute_offer words "{" ".join(value)}"' if isinstance(value, list) else f"_reroute_offer {value}" if value else ":"


def bash_values(commands):
    lines = []
    for command in commands:
        for option in command.options:
            if option.value() is not None:
                pattern = " | ".join(f'"{command.name} {name}"' for name in option.names)
                lines.append(f"    {pattern}) {bash_offer(option.value())}; return ;;")
    return lines


def bash_options(commands):
    for command in commands:
        names = " ".join(name for option in command.options for name in option.names)
        yield f'    "{command.name}")'
        yield f'        if [[ $word == -* ]]; then _reroute_offer words "{names}"; else {bash_offer(command.operands)}; fi'
        yield "        ;;"


def bash(listed, commands):
    return (BASH.replace("@commands@", " ".join(name for name, _ in listed))
            .replace("@studies@", " ".join(c.name.split()[1] for c in commands if " " in c.name))
            .replace("@values@", "\n".join(bash_values(commands))).replace("@options@", "\n".join(bash_options(commands))))


# --- zsh ---------------------------------------------------------------------------------------------------------

ZSH = """#compdef reroute
# SPDX-License-Identifier: Apache-2.0
# Completion of reroute for zsh.

_reroute_accesses()
{
    local -a accesses given
    local at
    for ((at = 2; at < CURRENT; at++)); do
        case $words[at] in
        -c | --config | --socket) given+=($words[at] ${~${(Q)words[at + 1]}}) ;;
        --config=* | --socket=*) given+=(${(Q)words[at]}) ;;
        esac
    done
    accesses=(${(f)"$(reroute status $given 2>/dev/null | sed -n 's/^[> ] \\([^ ]*\\)  *\\(data\\|secondary\\|management\\) .*/\\1/p' |
        sort -u)"})
    compadd -a accesses
}

_reroute()
{
    local -a commands studies
    commands=(
@commands@
        'help:what a command does'
    )
    studies=(@studies@)
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    shift words
    ((CURRENT--))
    if [[ $words[1] == bench ]]; then
        if ((CURRENT == 2)); then
            compadd -a studies
            return
        fi
        shift words
        ((CURRENT--))
        words[1]="bench $words[1]"
    fi
    case $words[1] in
    help) ((CURRENT > 2)) || _describe command commands ;;
@arguments@
    esac
}

_reroute "$@"
"""
ZSH_ACTION = {"files": "_files", "hosts": "_hosts", "accesses": "_reroute_accesses", "": ""}


def zsh_quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_action(value):
    return f"({' '.join(value)})" if isinstance(value, list) else ZSH_ACTION[value]


def zsh_specs(option):
    text = re.sub(r"([\[\]:\\])", r"\\\1", option.text)
    value = option.value()
    for name in option.names:
        others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
        if option.optional:
            yield zsh_quote(f"{others}{name}=-[{text}]::{option.argument}:")
        elif value is None:
            yield zsh_quote(f"{others}{name}[{text}]")
        else:
            yield zsh_quote(f"{others}{name}{'=' if name.startswith('--') else '+'}[{text}]:{option.argument.replace(':', ' ')}"
                            f":{zsh_action(value)}")


def zsh_arguments(commands):
    for command in commands:
        specs = [spec for option in command.options for spec in zsh_specs(option)]
        if command.operands:
            specs.append(zsh_quote(f"*:operand:{zsh_action(command.operands)}"))
        yield f"    {zsh_quote(command.name)})"
        yield "        _arguments -s " + " \\\n            ".join(specs)
        yield "        ;;"


def zsh(listed, commands):
    return (ZSH.replace("@commands@", "\n".join(f"        {zsh_quote(name + ':' + text.replace(':', ' '))}" for name, text in listed))
            .replace("@studies@", " ".join(c.name.split()[1] for c in commands if " " in c.name))
            .replace("@arguments@", "\n".join(zsh_arguments(commands))))


def main(shell, listing, *files):
    made = {"bash": bash, "zsh": zsh}[shell](COMMAND.findall(read(listing)), [Command(read(path)) for path in files])
    sys.stdout.write(made)


main(*sys.argv[1:])
