"""Drives a running sandbox with the PyPI client: commands, terminals, files and watch. Usage: drive.py SANDBOX_ID."""

import sys
import time

from e2b import CommandExitException, PtySize, Sandbox

sandbox = Sandbox.connect(sys.argv[1])

result = sandbox.commands.run("echo out; echo err >&2", envs={"A": "b"})
assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 0), result
try:
    sandbox.commands.run("exit 3")
    raise AssertionError("exit 3 did not raise")
except CommandExitException as error:
    assert error.exit_code == 3

background = sandbox.commands.run("cat", background=True, stdin=True)
sandbox.commands.send_stdin(background.pid, "hello\n")
sandbox.commands.close_stdin(background.pid)
assert background.wait().stdout == "hello\n"

sleeping = sandbox.commands.run("sleep 60", background=True)
assert any(process.pid == sleeping.pid for process in sandbox.commands.list())
assert sandbox.commands.kill(sleeping.pid)

screen = []
terminal = sandbox.pty.create(PtySize(rows=24, cols=80))
sandbox.pty.resize(terminal.pid, PtySize(rows=30, cols=101))
sandbox.pty.send_stdin(terminal.pid, b"stty size; exit 5\n")
try:
    terminal.wait(on_pty=screen.append)
except CommandExitException as error:
    assert error.exit_code == 5
assert b"30 101" in b"".join(screen), screen

sandbox.files.make_dir("/home/user/python")
watcher = sandbox.files.watch_dir("/home/user/python")
sandbox.files.write("/home/user/python/a.txt", "text")
assert sandbox.files.read("/home/user/python/a.txt") == "text"
assert [entry.name for entry in sandbox.files.list("/home/user/python")] == ["a.txt"]
sandbox.files.rename("/home/user/python/a.txt", "/home/user/python/b.txt")
sandbox.files.remove("/home/user/python/b.txt")
names = []
for _ in range(50):
    names += [event.name for event in watcher.get_new_events()]
    if "a.txt" in names and "b.txt" in names:
        break
    time.sleep(0.1)
assert "a.txt" in names and "b.txt" in names, names
watcher.stop()
assert sandbox.is_running()
print("all good")
