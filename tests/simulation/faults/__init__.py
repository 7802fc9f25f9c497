"""Small faults of the program, each of which some life must find.

A fault replaces one text of one file by another, in a copy of the package. A text that is not
there exactly once any more is an error: then the fault has to follow the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TEETH", "Tooth"]


@dataclass(frozen=True)
class Tooth:
    """A fault: what of `file`, under `backfill/`, becomes what."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, package: Path) -> None:
        """Put the fault into a copy of the package. Raises ValueError where it fits no more."""
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has its text {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


_RUN = "deliver/run/run.py"
_GROUP = "deliver/run/group_commit.py"
_LANES = "deliver/run/lanes.py"
_PACER = "deliver/pacing/pacer.py"
_DELIVERING = "jobs/running/delivering.py"

TEETH = (
    Tooth(
        "the intent is written after the bytes have left",
        _RUN,
        "            if not await self._committer.start(batch):",
        "            early = await self._sender.send(request, len(batch))\n"
        "            del early\n"
        "            if not await self._committer.start(batch):",
    ),
    Tooth(
        "a group is told yes though its commit failed",
        _GROUP,
        "            self._fail(error)\n        finally:",
        "            group.committed = True\n        finally:",
    ),
    Tooth(
        "a run does not hear that a commit failed",
        _GROUP,
        "        self._broken(self.error)\n",
        "",
    ),
    Tooth(
        "an outcome is counted before it is durable",
        _GROUP,
        "        with anyio.CancelScope(shield=True):\n",
        "        self._meter.count(group.tick)\n        with anyio.CancelScope(shield=True):\n",
    ),
    Tooth(
        "a quiet period is not stored",
        _GROUP,
        "        if group.quiet:\n            self._book.set_quiet_until(*group.quiet)\n",
        "",
    ),
    Tooth(
        "a stored quiet period is not heeded",
        "deliver/delivery.py",
        "        quiet_until=ledger.quiet_until(),\n",
        "        quiet_until=0.0,\n",
    ),
    Tooth(
        "an intent that was written goes out within a quiet period",
        _RUN,
        "            if grant.still_valid() and (",
        "            if grant and (",
    ),
    Tooth(
        "an ambiguous answer counts as nothing done",
        _LANES,
        "            case Flow.AMBIGUOUS if not at_least_once:\n"
        "                return _settlement(batch, State.UNKNOWN, verdict)\n",
        "",
    ),
    Tooth(
        "a reply that cannot be trusted counts as delivered",
        _LANES,
        "            case Flow.UNKNOWN:\n                return _settlement(batch, State.UNKNOWN,",
        "            case Flow.UNKNOWN:\n"
        "                return _settlement(batch, State.DELIVERED,",
    ),
    Tooth(
        "the rest of a batch with bad items is forgotten",
        _LANES,
        "        if rest:\n            self.put_back(",
        "        if rest and not verdict.bad:\n            self.put_back(",
    ),
    Tooth(
        "the neighbour of a bad item fails",
        _LANES,
        "                    ((positions[index], positions[index] + 1),),",
        "                    ((positions[index - 1], positions[index - 1] + 1),),",
    ),
    Tooth(
        "the halves of a batch go in the wrong order",
        _LANES,
        "        for part in (positions[middle:], positions[:middle]):",
        "        for part in (positions[:middle], positions[middle:]):",
    ),
    Tooth(
        "what is put back goes last",
        _LANES,
        "        if self._first:\n            return self._first.popleft(), 0\n",
        "        if self._first and not self._fresh:\n"
        "            return self._first.popleft(), 0\n",
    ),
    Tooth(
        "a pending range is begun one record late",
        _LANES,
        "        if settled_start > start:\n            ranges.append((start, settled_start))",
        "        if settled_start > start + 1:\n            ranges.append((start, settled_start))",
    ),
    Tooth(
        "the records of a batch are read one place off",
        "deliver/run/ready_reader.py",
        "        index = bisect_right(self.ranges, (start, math.inf)) - 1\n",
        "        index = 0\n",
    ),
    Tooth(
        "what was in flight is forgotten when a job is opened",
        "ledger/sqlite/recovery.py",
        "            connection.execute(sql.RECOVER, (sql.LOST_WORDS, clock()))\n",
        "",
    ),
    Tooth(
        "what was in flight is left in flight when a job is opened",
        "ledger/sqlite/ledger.py",
        "            ledger.recovered = settle_lost(file, clock)\n",
        "            ledger.recovered = 0\n",
    ),
    Tooth(
        "only a part of what was in flight becomes unknown",
        "ledger/statements.py",
        "SELECT bucket, start, stop, 'unknown', NULL, ?, NULL, 'lost', ? FROM flight\n",
        "SELECT bucket, start, stop, 'unknown', NULL, ?, NULL, 'lost', ? FROM flight LIMIT 2\n",
    ),
    Tooth(
        "a looker settles what is in flight",
        "jobs/readonly.py",
        "            ledger = Ledger.open_readonly(path) if in_ledger else Ledger.open_copy(path)",
        "            ledger = Ledger.open(path)",
    ),
    Tooth(
        "the last span grows over a gap",
        "ledger/spans.py",
        "        if last is not None and last[1] == start and last[2] == words:",
        "        if last is not None and last[1] <= start and last[2] == words:",
    ),
    Tooth(
        "a span grows whatever its state",
        "ledger/spans.py",
        "        if last is not None and last[1] == start and last[2] == words:",
        "        if last is not None and last[1] == start:",
    ),
    Tooth(
        "the ledger is not synced",
        "ledger/sqlite/opening.py",
        '        connection.execute("PRAGMA synchronous = FULL")\n'
        '        connection.execute("PRAGMA fullfsync = ON")',
        '        connection.execute("PRAGMA synchronous = NORMAL")\n'
        '        connection.execute("PRAGMA fullfsync = ON")',
    ),
    Tooth(
        "the mark is written before the commit",
        "ledger/sqlite/file.py",
        '                self._connection.execute("COMMIT")\n'
        "                self._mark.write(commits)\n",
        "                self._mark.write(commits)\n"
        '                self._connection.execute("COMMIT")\n',
    ),
    Tooth(
        "a lane is served by two",
        "deliver/run/lane_queue.py",
        "            return self._found.popleft()",
        "            self._found.rotate(-1)\n            return self._found.pop() "
        "if len(self._found) > 3 else self._found[0]",
    ),
    Tooth(
        "at most once resends what was lost",
        _DELIVERING,
        '    if run.settings.guarantee == "at-least-once":\n        ledger.resend_lost()',
        "    if run.settings.guarantee:\n        ledger.resend_lost()",
    ),
    Tooth(
        "a decision needs no lock",
        "jobdir/lock.py",
        "            while not _hold(*handles):",
        '            while not _hold(*handles) and work == "run":',
    ),
    Tooth(
        "resolving as delivered takes the failed ones, too",
        "ledger/decisions.py",
        "            execute(sql.REWRITE, (to.value, at, words, *which))",
        "            execute(sql.REWRITE, (to.value, at, words, *which))\n"
        '            execute(sql.REWRITE, (to.value, at, words, "failed", None))',
    ),
    Tooth(
        "a wait is cut short",
        _PACER,
        "        if self.departures.limiter.quiet(now + seconds):",
        "        if self.departures.limiter.quiet(now + 0.9 * seconds):",
    ),
    Tooth(
        "a pause is not heeded",
        _PACER,
        "        if self.stopped or self.paused or self.out >= self._concurrency_limit():\n",
        "        if self.stopped or self.out >= self._concurrency_limit():\n",
    ),
    Tooth(
        "the rate is twice what was said",
        "deliver/pacing/rate_limiter.py",
        "        self._due = max(due, now) + 1 / rate\n",
        "        self._due = max(due, now) + 0.5 / rate\n",
    ),
    Tooth(
        "a grant is not given back when it is withdrawn",
        _PACER,
        '        """The request was not sent after all."""\n        self._give_back(grant)\n',
        '        """The request was not sent after all."""\n        del grant\n',
    ),
    Tooth(
        "the next in the queue is not woken",
        "deliver/pacing/turns.py",
        "            if self._queue:\n                self._queue[0].set()\n",
        "",
    ),
    Tooth(
        "the credential is left in the server's words",
        "deliver/run/send.py",
        "            reply = self._redaction.redact(reply)\n",
        "",
    ),
    Tooth(
        "a proxy's 503 counts as nothing done",
        "destination/verdicts.py",
        "        return Flow.AGAIN if own_error or asks_to_wait else Flow.AMBIGUOUS\n",
        "        return Flow.AGAIN\n",
    ),
    Tooth(
        "a reply that did not come counts as nothing done",
        "destination/verdicts.py",
        "    return Verdict(Flow.AMBIGUOUS if fault.reached else Flow.AGAIN, reason=fault.value)\n",
        "    return Verdict(Flow.AGAIN, reason=fault.value)\n",
    ),
    Tooth(
        "the limit counts requests",
        "deliver/run/company.py",
        "        self._left -= taken\n",
        "        self._left -= taken > 0\n",
    ),
    Tooth(
        "a choice of records is not heeded",
        "deliver/run/lane_queue.py",
        "                if found and self._selection is not None:\n",
        "                if not found and self._selection is not None:\n",
    ),
    Tooth(
        "a run's time is never up",
        _RUN,
        "            if self._settings.max_duration is not None and self._company is None:\n",
        "            if self._settings.max_duration == 0 and self._company is None:\n",
    ),
    Tooth(
        "a pace that is said while a run begins is not heard",
        "deliver/run/pace_follower.py",
        "    known = settings.pace\n",
        "    known = await anyio.to_thread.run_sync(pace)\n",
    ),
    Tooth(
        "a wait is not stored after the clock was set back",
        _RUN,
        "        if quiet != self._quiet:\n",
        "        if quiet[1] > self._quiet[1]:\n",
    ),
    Tooth(
        "an abandoned job runs",
        _DELIVERING,
        "    refuse_abandoned(job.directory, ledger)\n    first = bind_address",
        "    first = bind_address",
    ),
    Tooth(
        "a decision is carried out for more than was chosen",
        "jobs/choice.py",
        "    count = ledger.retry(positions) if of is State.FAILED",
        "    count = ledger.retry() if of is State.FAILED",
    ),
    Tooth(
        "what was lost is settled and not counted",
        "ledger/sqlite/recovery.py",
        "            connection.execute(sql.DELETE_ALL_INTENTS)\n            recount(connection)\n",
        "            connection.execute(sql.DELETE_ALL_INTENTS)\n",
    ),
    Tooth(
        "a request whose process died is not counted",
        "ledger/sqlite/recovery.py",
        "            connection.execute(sql.COUNT_RECOVERED, (int(clock()),))\n",
        "",
    ),
    Tooth(
        "an intent that was taken back is forgotten",
        _RUN,
        "                cursor.put_back(batch)\n                continue\n",
        "                continue\n",
    ),
)
"""Every fault that the simulation must find."""
