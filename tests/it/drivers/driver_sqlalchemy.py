#!/usr/bin/python3
"""SQLAlchemy's ORM on psycopg2: sessions, relations, bulk work, its own reset of pooled connections."""
import datetime
import decimal
import threading

import sqlalchemy as sa
from sqlalchemy import orm

Base = orm.declarative_base()


class Author(Base):
    __tablename__ = "drv_sa_author"
    id = sa.Column(sa.BigInteger, primary_key=True)
    name = sa.Column(sa.Text, nullable=False, unique=True)
    born = sa.Column(sa.Date)
    fee = sa.Column(sa.Numeric(10, 2))
    tags = sa.Column(sa.JSON)
    books = orm.relationship("Book", back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "drv_sa_book"
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.Text)
    author_id = sa.Column(sa.BigInteger, sa.ForeignKey("drv_sa_author.id"))
    author = orm.relationship(Author, back_populates="books")


engine = sa.create_engine("postgresql+psycopg2://", pool_size=8, pool_pre_ping=True)
Session = orm.sessionmaker(engine)
Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
with Session.begin() as s:
    ann = Author(name="Ann Grüß", born=datetime.date(1990, 2, 28), fee=decimal.Decimal("9.75"), tags={"a": [1]})
    ann.books = [Book(title="B%d" % i) for i in range(50)]
    s.add(ann)
with Session() as s:
    got = s.query(Author).options(orm.joinedload(Author.books)).filter_by(name="Ann Grüß").one()
    assert (len(got.books), got.fee, got.tags) == (50, decimal.Decimal("9.75"), {"a": [1]})
    s.add(Author(name="Ann Grüß"))
    try:
        s.commit()
        raise AssertionError("no unique violation")
    except sa.exc.IntegrityError as e:
        assert e.orig.pgcode == "23505"
        s.rollback()
    with s.begin_nested() as nested:
        s.query(Book).delete()
        nested.rollback()
    assert s.query(sa.func.count(Book.id)).scalar() == 50
    s.bulk_insert_mappings(Book, [{"title": "bulk"} for _ in range(500)])
    s.commit()
    assert s.query(Book).filter(Book.title == "bulk").update({"title": "done"}) == 500
    s.rollback()
failures = []


def work(n):
    try:
        for i in range(20):
            with Session.begin() as s:
                assert s.execute(sa.text("SELECT :i + :n"), {"i": i, "n": n}).scalar() == i + n
                s.add(Book(title="t%d" % n))
    except Exception as e:
        failures.append(e)


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
    assert c.execute(sa.text("SELECT count(*) FROM drv_sa_book WHERE title LIKE 't_'")).scalar() == 160
insp = sa.inspect(engine)
assert {x["name"] for x in insp.get_columns("drv_sa_book")} == {"id", "title", "author_id"}
Base.metadata.drop_all(engine)
engine.dispose()
print("PASS")
