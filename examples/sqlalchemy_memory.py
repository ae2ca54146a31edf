"""The memory layer over SQLAlchemy: a mapped table, any order through its index, and the functions.

pip install sqlalchemy pgvector psycopg[binary]
python examples/sqlalchemy_memory.py "postgresql+psycopg://localhost/agent"
"""

import sys

from pgvector.sqlalchemy import Vector
from sqlalchemy import BigInteger, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

DIMENSIONS = 3


class Base(DeclarativeBase):
    """The mapped tables."""


class Memory(Base):
    """A row of a table that chrono_create_memory made, with the columns that this program uses."""

    __tablename__ = "orm_memories"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    content: Mapped[str]
    context: Mapped[str | None]
    embedding = mapped_column(Vector(DIMENSIONS))
    importance: Mapped[float] = mapped_column(server_default="0.5")
    superseded_by: Mapped[int | None] = mapped_column(BigInteger)


def nearest(session, vector, k):
    """The best by similarity and importance: an ORDER BY that the index answers."""
    similarity = 1 - Memory.embedding.cosine_distance(vector)
    score = similarity * 0.8 + Memory.importance * 0.2
    return session.scalars(select(Memory).order_by(score.desc()).limit(k)).all()


def recall(session, vector, k, **options):
    """Mapped rows by chrono_search, whose further arguments are `options`."""
    named = "".join(f", {name} => :{name}" for name in options)
    found = text(
        f"SELECT (memory).* FROM chrono_search(NULL::orm_memories, CAST(:vector AS vector), :k{named})"
    )
    values = {"vector": str(vector), "k": k, **options}
    return session.scalars(select(Memory).from_statement(found), values).all()


def main(url):
    """Remembers, recalls, reinforces and merges."""
    engine = create_engine(url)
    with Session(engine) as session:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS chronomind CASCADE"))
        session.execute(select(func.chrono_create_memory("orm_memories", DIMENSIONS)))
        session.add_all(
            [
                Memory(
                    content="The deploy key is in the vault",
                    context="ops",
                    embedding=[1, 0.1, 0],
                    importance=0.9,
                ),
                Memory(content="Deploys are on Tuesdays", context="ops", embedding=[0.8, 0.6, 0]),
                Memory(
                    content="Every Tuesday is a deploy", context="ops", embedding=[0.8, 0.61, 0]
                ),
            ]
        )
        session.commit()

        print([memory.content for memory in nearest(session, [0.9, 0.4, 0], 1)])
        recalled = recall(session, [0.9, 0.4, 0], 2, context="ops", diversity=0.3)
        print([memory.content for memory in recalled])
        ids = [memory.id for memory in recalled]
        touched = session.scalar(select(func.chrono_touch("orm_memories", ids)))
        merges = session.execute(
            select(text("*")).select_from(func.chrono_consolidate("orm_memories"))
        ).all()
        print(f"{touched} touched, {len(merges)} merged")
        session.commit()


if __name__ == "__main__":
    main(sys.argv[1])
