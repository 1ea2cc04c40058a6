#!/usr/bin/env python3
"""Control of a running daemon from Python, over its Unix socket. Nothing but the standard library is needed.

    control.py VERB [JSON]      such as: control.py call '{"name": "fake__echo", "arguments": {"message": "hi"}}'
    control.py events           follows what happens, a line of JSON each
"""

import json, os, pathlib, socket, sys


class Daemon:
    """A connection to the daemon that runs; of several, to that which began last."""

    def __init__(self):
        home = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state"
        notices = sorted(pathlib.Path(home, "computer").glob("*/daemon.json"), key=lambda path: path.stat().st_mtime)
        noted = [json.loads(text) for text in (path.read_text() for path in reversed(notices)) if text]
        for notice in noted:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(notice["socket"])
                break
            except (OSError, KeyError):
                continue  # it was killed, and could not take its notice away
        else:
            sys.exit("no daemon runs; `computer serve --http` starts one")
        self.lines, self.last = self.socket.makefile("r", encoding="utf-8"), 0

    def follow(self, verb, args=None):
        """Asks for something, and gives each event and at last the result."""
        self.last += 1
        self.socket.sendall((json.dumps({"id": self.last, "verb": verb, "args": args or {}}) + "\n").encode())
        for line in self.lines:
            told = json.loads(line)
            if told["id"] == self.last:
                if "error" in told:
                    raise RuntimeError(f"{told['error']['code']}: {told['error']['message']}")
                yield told.get("event", told.get("result"))
                if "result" in told:
                    return
        raise ConnectionError("the daemon has ended")


if __name__ == "__main__":
    verb, args = (sys.argv + ["status"])[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    try:
        for told in Daemon().follow(verb, args):
            print(json.dumps(told), flush=True)
    except (RuntimeError, ConnectionError) as error:
        sys.exit(str(error))
