"""``kws COMMAND ...`` and ``python -m kws COMMAND ...``: each sub-command lives in its room, and is imported when asked for."""

import argparse
import os
import signal
import sys
from importlib import import_module

from kws import __version__

COMMANDS = {
    "train": ("kws.report.train_word", "make a detector of a word or phrase that you type"),
    "search": ("kws.report.search_command", "search for the smallest detector of a keyword, on one machine or many"),
    "verify": ("kws.report.verify_command", "judge a network against the base, as the record table has it"),
    "listen": ("kws.streaming.listen", "print each detection of a keyword in a sound file, a stream or the microphone"),
    "download": ("kws.data.download", "fetch the official Speech Commands recordings"),
    "manifest": ("kws.data.manifest", "list the clips of a corpus, or rebuild a corpus from its list"),
    "bench": ("kws.report.bench", "play recordings of a word and talk to engines, and count misses and false alarms"),
    "time": ("kws.report.timing", "time models and streams on this machine"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command. The status is 0, 2 after an error, which is told on standard error, or 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="kws", description="Tiny keyword spotting.")
    parser.add_argument("--version", action="version", version=f"kws {__version__}")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, help_line) in COMMANDS.items():
        choices.add_parser(name, help=help_line, add_help=False)
    command = parser.parse_args(arguments[:1]).command
    room = import_module(COMMANDS[command][0])
    try:
        if signal.getsignal(signal.SIGINT) is _end:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on, what was begun is tidied up
        status = room.main(arguments[1:], f"kws {command}") or 0
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads has read enough
        return 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run() -> None:
    """``main`` as a process: Ctrl-C while it imports ends it without a word, and the shell may have closed its streams."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to ignore Ctrl-C
        signal.signal(signal.SIGINT, _end)
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # a file must not get the number of a closed stream
        pass
    sys.stdout, sys.stderr = (stream or os.fdopen(number, "w", closefd=False) for stream in (sys.stdout, sys.stderr))
    status = main()
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(number, 1)  # nobody reads it, or the disk is full; Python would complain at its end
    if status == 130:  # where Ctrl-C came amid an exec of text, as imports have, Python would end itself by the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.exit(status)


def _end(*_) -> None:
    os._exit(130)


if __name__ == "__main__":
    run()
