"""The command that serves bundles. It never loads TensorFlow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from compress.serve.limits import Limits

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s,]+")

app = typer.Typer()


@app.command(rich_help_panel="Finished bundles")
def serve(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of bundles, such as exported/NAME.", metavar="BUNDLE")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 8080,
    threads: Annotated[int, typer.Option(help="Threads per model; 0 means one per core.", min=0)] = 1,
    batch: Annotated[int, typer.Option(help="Most images per request, and per run of a model.", min=1)] = Limits.batch,
    queue: Annotated[
        int, typer.Option(help="Most requests per model at a time; further ones get 503.", min=1)
    ] = Limits.queue,
    deadline: Annotated[
        float, typer.Option(help="Most seconds that a request waits for its turn.", min=0.001)
    ] = Limits.deadline_seconds,
    request_bytes: Annotated[
        int, typer.Option("--bytes", help="Most bytes per request.", min=1)
    ] = Limits.request_bytes,
    name: Annotated[
        list[str], typer.Option(help="A name to serve a bundle under; repeat it for each, in their order.")
    ] = [],  # noqa: B006
    drain: Annotated[
        float,
        typer.Option(help="Seconds to go on, not ready, when told to stop; then new connections are refused.", min=0),
    ] = 0,
    grace: Annotated[int, typer.Option(help="Seconds to finish open requests after that.", min=0)] = 10,
    keep_alive: Annotated[
        int, typer.Option(help="Seconds that a connection stays open for its next request.", min=1)
    ] = 60,
    origin: Annotated[
        list[str],
        typer.Option(help="Origin of web pages that may use the server, such as https://example.com; * is all."),
    ] = [],  # noqa: B006
) -> None:
    """Serve bundles over HTTP: the Open Inference Protocol 2, labels for image files, and a page to try it out."""
    from compress.errors import BadInputError, MachineError

    for text in origin:
        if text != "*" and not ORIGIN.fullmatch(text):
            raise BadInputError(f"--origin {text}: should be scheme://host or scheme://host:port, or *")
    try:
        from compress.serve.server import Times
        from compress.serve.server import serve as run
    except ModuleNotFoundError as error:
        raise MachineError(f"serve needs {error.name}: pip install 'compress[serve]'") from error
    times = Times(keep_alive=keep_alive, drain=drain, grace=grace)
    run(bundles, name, (host, port), threads, Limits(batch, queue, deadline, request_bytes), times, origin)
