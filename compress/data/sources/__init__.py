"""Data sources, one per file, found by the file's name.

Each has three functions. `spec` is what the user gave as the data; exactly one source claims it.

    claims(spec: str) -> bool                       cheap, reads no data; also true of a file that is missing, if the
                                                    spec can mean nothing else, so that loading it says what is missing
    fingerprint(spec: str, memo: Path) -> str       sha256 over the bytes of images and labels, nothing decoded; `memo`
                                                    is where `compress.digests` remembers those of unchanged files
    load(spec: str, group: str) -> Samples          `group`, the setting data.group, tells which images stay together

A source of files that lie elsewhere also takes `root`, the setting data.root, as a last argument of both.
The last two raise `BadInputError`, and `MachineError` if data cannot be downloaded.
"""
