"""What lives in a sandbox and must survive: says its state as one JSON line each 50 ms."""
import json, os, pty, random, socket, termios, threading, time

state = {"counter": 0, "threads": [0, 0, 0]}
memory = {i: random.Random(i).random() for i in range(20000)}
random.seed(7)


def work(index):
    while True:
        state["threads"][index] += 1
        time.sleep(0.01)


for index in range(3):
    threading.Thread(target=work, args=(index,), daemon=True).start()

kept = open("/root/kept", "w+")
gone = open("/root/gone", "w+")
gone.write("unlinked\n")
gone.flush()
os.unlink("/root/gone")
with open("/dev/shm/note", "w") as note:
    note.write("in tmpfs")

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()

pid, shell = pty.fork()
if pid == 0:
    os.execv("/bin/sh", ["sh", "-i"])
modes = termios.tcgetattr(shell)
modes[3] &= ~termios.ECHO
termios.tcsetattr(shell, termios.TCSANOW, modes)
os.write(shell, b"PS1=; n=0\n")
time.sleep(0.3)
os.read(shell, 65536)


def ask_shell():
    os.write(shell, b"n=$((n+1)); echo [$n $$]\n")
    answer = b""
    while b"]" not in answer:
        answer += os.read(shell, 4096)
    return answer[answer.index(b"[") + 1 : answer.index(b"]")].decode().split()


while True:
    state["counter"] += 1
    kept.write(f"{state['counter']}\n")
    kept.flush()
    gone.seek(0)
    client.sendall(b"ping")
    number, shell_pid = ask_shell()
    kept_lines = open("/root/kept").read().split()
    print(
        json.dumps(
            {
                **state,
                "pid": os.getpid(),
                "sum": round(sum(memory.values()), 6),
                "gone": gone.read(),
                "note": open("/dev/shm/note").read(),
                "socket": server.recv(4).decode(),
                "shell": int(number),
                "shellPid": int(shell_pid),
                "kept": kept_lines == [str(n) for n in range(1, state["counter"] + 1)],
                "time": time.time(),
                "hostname": socket.gethostname(),
            }
        ),
        flush=True,
    )
    time.sleep(0.05)
