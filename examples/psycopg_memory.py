"""An agent's memory over psycopg.

pip install psycopg[binary]
python examples/psycopg_memory.py "host=localhost dbname=agent"
"""

import sys

import psycopg


class Memory:
    """The memories of one agent, in a table that is made when there is none.

    `connection` is of psycopg; `dimensions` are those of the vectors, which are lists of floats.
    """

    def __init__(self, connection, dimensions, table="agent_memories"):
        self.connection = connection
        self.table = psycopg.sql.Identifier(table)
        self.name = self.table.as_string(connection)
        connection.execute("CREATE EXTENSION IF NOT EXISTS chronomind CASCADE")
        if connection.execute("SELECT to_regclass(%s)", [self.name]).fetchone()[0] is None:
            connection.execute("SELECT chrono_create_memory(%s, %s)", [self.name, dimensions])

    def remember(self, content, vector, context=None, importance=0.5):
        """Keeps a text; its identifier."""
        statement = psycopg.sql.SQL(
            "INSERT INTO {} (content, embedding, context, importance) VALUES (%s, %s::vector, %s, %s) RETURNING id"
        )
        values = [content, str(vector), context, importance]
        return self.connection.execute(statement.format(self.table), values).fetchone()[0]

    def recall(self, vector, k=5, context=None, diversity=0.3):
        """The texts that matter most, best first; what is recalled is remembered better."""
        statement = psycopg.sql.SQL(
            "SELECT (memory).id, (memory).content FROM chrono_search(NULL::{}, %s::vector, %s, "
            "context => %s, importance_weight => 0.2, diversity => %s)"
        )
        rows = self.connection.execute(
            statement.format(self.table), [str(vector), k, context, diversity]
        ).fetchall()
        self.connection.execute(
            "SELECT chrono_touch(%s, %s::bigint[])", [self.name, [id for id, _ in rows]]
        )
        return [content for _, content in rows]

    def tidy(self):
        """Merges what says the same, and forgets what has faded; how many of each."""
        merged = self.connection.execute(
            "SELECT count(*) FROM chrono_consolidate(%s)", [self.name]
        ).fetchone()[0]
        forgotten = self.connection.execute(
            "SELECT forgotten FROM chrono_decay(%s, forget_below => 0.05)", [self.name]
        ).fetchone()[0]
        return merged, forgotten


def main(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        memory = Memory(connection, dimensions=3)
        memory.remember("The deploy key is in the vault", [1, 0.1, 0], "ops", importance=0.9)
        memory.remember("Deploys are on Tuesdays", [0.8, 0.6, 0], "ops")
        memory.remember("Every Tuesday is a deploy", [0.8, 0.61, 0], "ops")
        print(memory.recall([0.9, 0.4, 0], k=2, context="ops"))
        merged, forgotten = memory.tidy()
        print(f"{merged} merged, {forgotten} forgotten")


if __name__ == "__main__":
    main(sys.argv[1])
