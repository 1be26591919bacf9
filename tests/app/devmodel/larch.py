"""Twelve passages about an invented backup tool, and questions with the words that a right answer holds.

The passages and questions were written together for these tests; the product does not exist.
"""

PASSAGES: dict[str, str] = {
    "Installing": """Larch needs Python 3.11 or newer. Install it with pip:

```
pip install larch-backup
```

The package weighs 4 MB and pulls in three dependencies. On Debian the package python3-venv must be there first.
Larch runs on Linux and macOS; Windows is not supported yet.""",
    "Repositories": """A repository is the folder or bucket that holds your snapshots. Create one with `larch
init PATH`. A repository can lie on a local disk, on an SFTP host or in an S3 bucket. The passphrase is
asked for once and is never stored. If the passphrase is lost, nobody can read the repository again.""",
    "Snapshots": """`larch save FOLDER` takes a snapshot. A snapshot is immutable: it is never changed after it
was taken. Files that did not change since the last snapshot are not copied a second time, so that a daily
snapshot costs little space. Every snapshot carries a number and a digest.""",
    "Restoring": """`larch restore 7 --to FOLDER` writes snapshot 7 into an empty folder. Restoring into a
folder that is not empty is refused unless `--overwrite` is given. Single files are restored with `--only
PATTERN`. Ownership and permissions come back only when the command runs as root.""",
    "Retention": """The retention policy decides which snapshots `larch prune` removes. By default the last 14
daily, 8 weekly and 12 monthly snapshots are kept. A snapshot with a label is never pruned. Pruning is a dry
run until you add `--yes`.""",
    "Schedules": """Larch has no daemon of its own. Use cron or a systemd timer to run `larch save` at night.
`larch schedule --print systemd` prints a unit file that is ready to be copied. Two runs on one repository
at the same time are prevented by a lock, which expires after 30 minutes.""",
    "Settings": """Settings are environment variables.

| variable | default | meaning |
|---|---|---|
| `LARCH_HOME` | `~/.larch` | where the cache lives |
| `LARCH_THREADS` | 4 | how many files are read in parallel |
| `LARCH_COMPRESSION` | zstd | algorithm: zstd, gzip or none |
| `LARCH_LOG` | text | log format, text or json |""",
    "Exit codes": """Scripts can rely on the exit code:

- 0 means that everything went well
- 1 means that some files could not be read
- 2 means wrong usage
- 3 means that the repository is locked

A warning alone does not change the exit code.""",
    "Encryption": """All data is encrypted with AES-256 in GCM mode before it leaves the machine. The key is
derived from the passphrase with Argon2id. File names are encrypted too, because they often tell more than
the contents. Changing the passphrase re-encrypts only the key, which takes less than a second.""",
    "Checking": """`larch verify` reads every block and compares it with its digest. Add `--sample 5` to read
only five percent of the blocks. A damaged block is reported with the snapshots that need it. Verification
never writes to the repository.""",
    "Notifications": """Larch can send an e-mail or call a webhook when a run fails. Set `notify.webhook` in
`larch.toml` to the address to call. The body is a JSON object with the fields run, host, status and
message. A webhook that does not answer within ten seconds is tried three times.""",
    "Licence and support": """Larch is free software under the Apache-2.0 licence. Questions are answered in the
forum; bugs belong in the issue tracker. Security problems are reported to security@larch.example, and are
answered within two working days. There is no paid support.""",
}

# (title of the passage that answers, question, words that a right answer holds)
QUESTIONS: list[tuple[str, str, str]] = [
    ("Installing", "Which Python version is needed to run Larch?", "3.11"),
    ("Installing", "Does Larch work on Windows?", "not supported"),
    ("Installing", "How big is the package?", "4 MB"),
    ("Repositories", "How do I create a repository?", "larch init"),
    ("Repositories", "Where can a repository be kept?", "SFTP"),
    ("Repositories", "What happens when I lose the passphrase?", "nobody can read"),
    ("Repositories", "What is a repository?", "holds your snapshots"),
    ("Snapshots", "Can a snapshot be changed later?", "immutable"),
    ("Snapshots", "Why are daily snapshots cheap in space?", "not copied a second time"),
    ("Snapshots", "Which command takes a snapshot?", "larch save"),
    ("Restoring", "How do I restore a single file?", "--only"),
    ("Restoring", "Can I restore into a folder with files in it?", "--overwrite"),
    ("Restoring", "When are file permissions restored?", "as root"),
    ("Retention", "How many weekly snapshots are kept by default?", "8 weekly"),
    ("Retention", "How do I protect a snapshot from pruning?", "label"),
    ("Retention", "Does prune delete anything straight away?", "dry run"),
    ("Schedules", "Is there a Larch daemon?", "no daemon"),
    ("Schedules", "After how long does the lock expire?", "30 minutes"),
    ("Schedules", "How do I get a systemd unit file?", "schedule --print systemd"),
    ("Settings", "How many files are read in parallel?", "LARCH_THREADS"),
    ("Settings", "Which compression algorithms are there?", "gzip"),
    ("Settings", "Where does the cache live?", "LARCH_HOME"),
    ("Settings", "What is the default log format?", "text"),
    ("Exit codes", "What does exit code 3 mean?", "locked"),
    ("Exit codes", "Which exit code tells that some files were unreadable?", "1 means"),
    ("Exit codes", "Do warnings affect the exit code?", "does not change"),
    ("Encryption", "Which cipher encrypts the data?", "AES-256"),
    ("Encryption", "Why are file names encrypted?", "tell more than"),
    ("Encryption", "How long does changing the passphrase take?", "less than a second"),
    ("Checking", "How can I verify only some of the blocks?", "--sample"),
    ("Checking", "Does verifying modify the repository?", "never writes"),
    ("Checking", "What is said about a damaged block?", "snapshots that need it"),
    ("Notifications", "How often is a silent webhook retried?", "three times"),
    ("Notifications", "Which fields does the webhook's body have?", "status"),
    ("Notifications", "Where do I configure the webhook address?", "larch.toml"),
    ("Licence and support", "Under which license is Larch published?", "Apache-2.0"),
    ("Licence and support", "Where should I report a vulnerability or security problem?", "security@larch.example"),
    ("Licence and support", "Can I buy support?", "no paid support"),
]

# Questions that the passages do not answer, each with the passage that a retriever would bring first.
UNANSWERABLE: list[tuple[str, str]] = [
    ("Installing", "Is there a Homebrew formula for Larch?"),
    ("Repositories", "Can I store a repository in Dropbox?"),
    ("Snapshots", "Which database engines can be saved while they are running?"),
    ("Restoring", "Can Larch mount a snapshot as a filesystem with FUSE?"),
    ("Settings", "How do I limit the upload bandwidth?"),
    ("Encryption", "Is the encryption certified by FIPS 140?"),
    ("Notifications", "Can Larch post to a Slack channel?"),
    ("Licence and support", "Who founded the company behind Larch?"),
    ("Schedules", "How do I pause backups while on battery power?"),
    ("Checking", "Does verify use the graphics card?"),
    ("Retention", "What is the legal minimum retention for invoices?"),
    ("Exit codes", "How do I translate the messages to French?"),
]


def context(title: str, others: int = 3) -> str:
    """The passage and the next ones, numbered as a RAG template would: the right one second, as retrieval errs."""
    titles = list(PASSAGES)
    at = titles.index(title)
    picked = [titles[(at + step) % len(titles)] for step in (5, 0, *range(6, 5 + others))]
    return "\n\n".join(f"[{n}] {name}\n{PASSAGES[name]}" for n, name in enumerate(picked, start=1))
