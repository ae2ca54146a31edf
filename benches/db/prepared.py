"""A prepared statement without what surrounds it: to adapt a question and to wrap its answer in Python, and
to wake a processor that sleeps meanwhile, each takes as long as some answers do."""

import contextlib
import os
import re

from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus

from scripts.host import SetupError

NAME = "question"
PLACEHOLDER = re.compile(r"%\((\w+)\)[bs]")


class Prepared:
    """A statement that libpq prepares and executes, all values in binary.

    `parameters` gives values by name, whose types the statement is prepared for.
    """

    def __init__(self, connection, statement, parameters):
        self._connection = connection
        self._names = list(dict.fromkeys(PLACEHOLDER.findall(statement)))
        numbered = PLACEHOLDER.sub(lambda found: f"${self._names.index(found[1]) + 1}", statement)
        types = self._dump(parameters)[1].types
        self._answer(self._pgconn.prepare(NAME.encode(), numbered.encode(), types))

    def bind(self, parameters):
        """The values of the parameters as they are sent."""
        values, transformer = self._dump(parameters)
        return values, transformer.formats

    def execute(self, bound):
        """The whole result."""
        return self._answer(self._pgconn.exec_prepared(NAME.encode(), *bound))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.execute(f"DEALLOCATE {NAME}")

    @property
    def _pgconn(self):
        return self._connection.pgconn

    def _dump(self, parameters):
        transformer = Transformer(self._connection)
        values = [parameters[name] for name in self._names]
        return transformer.dump_sequence(values, [PyFormat.BINARY] * len(values)), transformer

    @staticmethod
    def _answer(result):
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise SetupError(result.error_message.decode())
        return result


@contextlib.contextmanager
def one_core(connection):
    """The client and its backend on one core, which never sleeps between a question and its answer."""
    processes = [0, connection.info.backend_pid]
    before = [os.sched_getaffinity(process) for process in processes]
    try:
        for process in processes:
            os.sched_setaffinity(process, {max(before[0])})
        yield
    finally:
        for process, cores in zip(processes, before):
            os.sched_setaffinity(process, cores)
