"""``python -m kws``, which is the console command ``kws``."""

from kws.report.command import run

if __name__ == "__main__":
    run()
