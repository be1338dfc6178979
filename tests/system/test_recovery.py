"""The TPM is lost: escrow and recovery key bring the root onto another one, and the old keys are served."""
import os
import shutil

import client
import tap
from test_vault_states import swap_tpm


def run(state):
    link = client.Connection(state.env)
    uid = link.call(client.create("recovery-1")).uid
    material = link.call(client.get(uid)).material
    link.close()
    state.stop_one("holdfastd")
    swap_tpm(state, os.path.join(state.top, "tpm-lost"))
    shutil.move(os.path.join(state.dir, "node.state"), os.path.join(state.top, "node.state.lost"))
    secret = os.path.join(state.dir, "secret")
    answer = state.holdfast("recovery", "check", "--escrow", secret + "/escrow", "--recovery", secret + "/auth.key")
    tap.ok(answer.returncode != 0, "another key does not open the escrow", answer.stdout)
    answer = state.holdfast("recovery", "check", "--escrow", secret + "/escrow", "--recovery", secret + "/recovery.key")
    tap.ok(answer.returncode == 0, "the escrow opens with the recovery key", answer.stderr)
    answer = state.holdfast("recovery", "restore", "--escrow", secret + "/escrow", "--recovery",
                            secret + "/recovery.key", "--auth", secret + "/auth.key")
    tap.ok(answer.returncode == 0, "recovery restore onto a second TPM", answer.stderr + answer.stdout)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "the vault opens under the new TPM", str(state.status()) + state.log()[-3000:])
    link = client.Connection(state.env)
    got = link.call(client.get(uid))
    tap.ok(got.ok and got.material == material, "the old key is served, byte for byte", got)
    tap.ok(link.call(client.create("recovery-2")).ok, "and new ones are made")
    link.close()
    rows = state.psql("SELECT 1 FROM audit.events WHERE operation = 'Admin Recovery'")
    tap.ok(rows, "the recovery has its audit row")
