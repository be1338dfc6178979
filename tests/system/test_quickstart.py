"""The quick start itself: run again, stopped, started, asked for its status."""
import client
import support
import tap


def run(state):
    link = client.Connection(state.env)
    uid = link.call(client.create("quickstart-1")).uid
    link.close()
    supervisor = state.pid("supervisor")
    answer = state.quickstart("--no-demo")
    tap.ok(answer.returncode == 0 and state.pid("supervisor") == supervisor, "a second run changes nothing",
           answer.stdout + answer.stderr)
    answer = state.quickstart("--status")
    tap.ok(answer.returncode == 0, "--status says that it runs", answer.stdout + answer.stderr)
    answer = state.quickstart("--stop")
    tap.ok(answer.returncode == 0 and not state.pid("supervisor") and not state.pid("postgres"), "--stop stops all",
           answer.stdout + answer.stderr)
    code, error = state.json("status")
    tap.ok(code == 3 and "not running" in error.get("error", ""), "status says that the server is down: exit 3", error)
    code, error = state.json("key", "locate")
    tap.ok(code == 3, "and the client cannot connect: exit 3", error)
    answer = state.quickstart("--status")
    tap.ok(answer.returncode != 0, "--status says that it does not run", answer.stdout)
    answer = state.quickstart()
    tap.ok(answer.returncode == 0 and "verified" in answer.stdout, "a later run starts it and shows it at work",
           answer.stdout + answer.stderr)
    state.read_env()
    tap.ok(support.wait_for(lambda: client.Connection(state.env).call(client.get(uid)).ok, 10), "old keys are there")
