"""Long rows of operations beside a model that is too simple to be wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agreement import told
from lab import Machine

WORKER = str(Path(__file__).parents[1] / "model_worker.py")
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "6"))
NETWORKS = st.sampled_from(["red", "green", "blue"])
BOXES = st.sampled_from(["ada", "bob", "cyd", "dee"])
PORTS = st.sampled_from([8001, 8002, 8003])


class Box:
    """A container, as a user thinks of it."""

    def __init__(self, network: str) -> None:
        self.runs, self.networks, self.ports = True, {network}, set[int]()

    def shown(self) -> list[Any]:
        state = "running" if self.runs else "exited"
        return [state, sorted(self.networks), sorted(self.ports) if self.runs else []]


def _machine_for(host: Machine) -> type[RuleBasedStateMachine]:
    class Model(RuleBasedStateMachine):
        """What there should be, and a process that does it."""

        def __init__(self) -> None:
            super().__init__()
            self.networks: set[str] = set()
            self.boxes: dict[str, Box] = {}
            self.worker = host.popen(sys.executable, WORKER, stdin=-1, stdout=-1)

        def ask(self, *words: object) -> Any:
            assert self.worker.stdin is not None and self.worker.stdout is not None
            self.worker.stdin.write(json.dumps(words).encode() + b"\n")
            self.worker.stdin.flush()
            return json.loads(self.worker.stdout.readline())

        def expect(self, wanted: str, *words: object) -> bool:
            """Ask for an operation that should end so; whether it is done."""
            how, text = self.ask(*words)
            assert how == wanted, (words, wanted, how, text)
            return wanted == "done"

        def port_holder(self, port: int) -> str | None:
            return next(
                (n for n, box in self.boxes.items() if box.runs and port in box.ports), None
            )

        @rule(name=NETWORKS)
        def create(self, name: str) -> None:
            if self.expect("NameInUse" if name in self.networks else "done", "create", name):
                self.networks.add(name)

        @rule(name=NETWORKS)
        def remove(self, name: str) -> None:
            is_used = any(name in box.networks for box in self.boxes.values())
            absent = name not in self.networks
            wanted = "NotFound" if absent else "Conflict" if is_used else "done"
            if self.expect(wanted, "remove", name):
                self.networks.remove(name)

        @rule(name=BOXES, on=NETWORKS)
        def run(self, name: str, on: str) -> None:
            absent, is_taken = on not in self.networks, name in self.boxes
            wanted = "NotFound" if absent else "NameInUse" if is_taken else "done"
            if self.expect(wanted, "run", name, on):
                self.boxes[name] = Box(on)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES, on=NETWORKS)
        def connect(self, name: str, on: str) -> None:
            absent = on not in self.networks or name not in self.boxes
            is_there = not absent and on in self.boxes[name].networks
            wanted = "NotFound" if absent else "Conflict" if is_there else "done"
            if self.expect(wanted, "connect", on, name):
                self.boxes[name].networks.add(on)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES, on=NETWORKS)
        def disconnect(self, name: str, on: str) -> None:
            box = self.boxes.get(name)
            # With its last network the ports would go, and somebody else could have them.
            if box is not None and box.ports and len(box.networks) == 1:
                return
            absent = on not in self.networks or box is None
            is_there = box is not None and on in box.networks
            wanted = "NotFound" if absent else "done" if is_there else "Conflict"
            if self.expect(wanted, "disconnect", on, name) and box is not None:
                box.networks.remove(on)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES, port=PORTS)
        def publish(self, name: str, port: int) -> None:
            box = self.boxes.get(name)
            if box is not None and (not box.runs or not box.networks):
                return
            holder = self.port_holder(port)
            wanted = "NotFound" if box is None else "PortInUse" if holder else "done"
            if self.expect(wanted, "publish", name, port) and box is not None:
                box.ports.add(port)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES, port=PORTS)
        def take_back(self, name: str, port: int) -> None:
            box = self.boxes.get(name)
            has = box is not None and port in box.ports
            if self.expect("done" if has else "NotFound", "take back", name, port) and box:
                box.ports.remove(port)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES)
        def stop(self, name: str) -> None:
            if self.expect("done" if name in self.boxes else "NotFound", "stop", name):
                self.boxes[name].runs = False

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES)
        def start(self, name: str) -> None:
            box = self.boxes.get(name)
            is_taken = box is not None and not box.runs and any(map(self.port_holder, box.ports))
            wanted = "NotFound" if box is None else "PortInUse" if is_taken else "done"
            if self.expect(wanted, "start", name) and box is not None:
                box.runs = True

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES, new=BOXES)
        def rename(self, name: str, new: str) -> None:
            absent = name not in self.boxes
            wanted = "NotFound" if absent else "NameInUse" if new in self.boxes else "done"
            if self.expect(wanted, "rename", name, new):
                self.boxes[new] = self.boxes.pop(name)

        @precondition(lambda self: self.boxes)
        @rule(name=BOXES)
        def rm(self, name: str) -> None:
            if self.expect("done" if name in self.boxes else "NotFound", "rm", name):
                del self.boxes[name]

        @invariant()
        def agrees(self) -> None:
            how, shown = self.ask("state")
            assert how == "done", shown
            boxes = {name: box.shown() for name, box in self.boxes.items()}
            assert shown == [sorted(self.networks), boxes]

        def teardown(self) -> None:
            told(host)
            for name in self.boxes:
                self.ask("rm", name)
            for name in self.networks:
                self.ask("remove", name)
            assert self.worker.stdin is not None
            self.worker.stdin.close()
            self.worker.wait()

    return Model


def test_beside_a_model(host: Machine) -> None:
    """Whatever is asked in whatever order ends as the model says, and the kernel agrees."""
    host.ny("network", "create", "first")
    host.ny("network", "rm", "first")
    quick = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(_machine_for(host), settings=quick)
    assert host.ny("ps", "-aq") == ""
