"""Checks that the README's transcript is what the demo prints, figures that vary masked: `python -m tests.transcript`.

`python -m tests.transcript --write` puts the demo's present output there.
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- transcript: demo -->\n```text\n)(.*?)(```\n)", re.DOTALL)
SECONDS = re.compile(r"Took \d+\.\d s\.")


def printed() -> str:
    """What `promptward demo` prints, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTWARD_")}
        environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "client")])
        done = subprocess.run(
            [sys.executable, "-m", "app.cli.main", "demo"],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        sys.exit(f"the demo ended with {done.returncode}:\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def masked(text: str) -> str:
    return SECONDS.sub("Took … s.", text)


def main() -> None:
    found = BLOCK.search(README.read_text())
    if found is None:
        sys.exit("README.md has no block after <!-- transcript: demo -->")
    now = printed()
    if "--write" in sys.argv:
        README.write_text(BLOCK.sub(lambda match: match[1] + now + match[3], README.read_text()))
        return
    difference = list(
        difflib.unified_diff(
            masked(found[2]).splitlines(), masked(now).splitlines(), "README.md", "promptward demo", lineterm=""
        )
    )
    if difference:
        print("\n".join(difference))
        sys.exit("README.md does not show what the demo prints; run `python -m tests.transcript --write`")
    print("the README's transcript is what the demo prints")


if __name__ == "__main__":
    main()
