// pgx: binary protocol, its statement cache (lrupsc_1_0 … on every connection), batches, COPY, a pool, cancel by context.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func basics(ctx context.Context, c *pgx.Conn) {
	_, err := c.Exec(ctx, "DROP TABLE IF EXISTS drv_pgx; CREATE TABLE drv_pgx (id int PRIMARY KEY, v text, at timestamptz, b bytea, a int[])")
	must(err)
	now := time.Now().Truncate(time.Microsecond)
	for i := 1; i <= 10; i++ {
		_, err = c.Exec(ctx, "INSERT INTO drv_pgx VALUES ($1, $2, $3, $4, $5)", i, fmt.Sprintf("grüß € %d", i), now, []byte{0, 255}, []int32{1, 2})
		must(err)
	}
	for i := 1; i <= 10; i++ {
		var v string
		var at time.Time
		var b []byte
		var a []int32
		must(c.QueryRow(ctx, "SELECT v, at, b, a FROM drv_pgx WHERE id = $1", i).Scan(&v, &at, &b, &a))
		check(v == fmt.Sprintf("grüß € %d", i) && at.Equal(now) && len(b) == 2 && b[1] == 255 && len(a) == 2, "values")
	}
	_, err = c.Prepare(ctx, "named", "SELECT $1::int + 1")
	must(err)
	var n int
	must(c.QueryRow(ctx, "named", 41).Scan(&n))
	check(n == 42, "named statement")
	must(c.Deallocate(ctx, "named"))
}

func transactions(ctx context.Context, c *pgx.Conn) {
	tx, err := c.Begin(ctx)
	must(err)
	_, err = tx.Exec(ctx, "DELETE FROM drv_pgx")
	must(err)
	must(tx.Rollback(ctx))
	tx, err = c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	must(err)
	sub, err := tx.Begin(ctx)
	must(err)
	_, err = sub.Exec(ctx, "INSERT INTO drv_pgx (id) VALUES ($1)", 1)
	check(state(err) == "23505", "no unique violation")
	must(sub.Rollback(ctx))
	var n int
	must(tx.QueryRow(ctx, "SELECT count(*) FROM drv_pgx").Scan(&n))
	check(n == 10, "count")
	must(tx.Commit(ctx))
	check(state(c.QueryRow(ctx, "SELECT 1 / $1::int", 0).Scan(&n)) == "22012", "no division by zero")
}

func batch(ctx context.Context, c *pgx.Conn) {
	b := &pgx.Batch{}
	for i := 100; i < 300; i++ {
		b.Queue("INSERT INTO drv_pgx (id, v) VALUES ($1, $2)", i, "batch")
	}
	b.Queue("SELECT count(*) FROM drv_pgx WHERE id >= $1", 100)
	br := c.SendBatch(ctx, b)
	for i := 100; i < 300; i++ {
		_, err := br.Exec()
		must(err)
	}
	var n int
	must(br.QueryRow().Scan(&n))
	check(n == 200, "batch")
	must(br.Close())
	b = &pgx.Batch{}
	b.Queue("INSERT INTO drv_pgx (id) VALUES ($1)", 900)
	b.Queue("INSERT INTO drv_pgx (id) VALUES ($1)", 100)
	br = c.SendBatch(ctx, b)
	_, err := br.Exec()
	must(err)
	_, err = br.Exec()
	check(state(err) == "23505", "no error in the batch")
	br.Close()
	must(c.QueryRow(ctx, "SELECT count(*) FROM drv_pgx WHERE id = 900").Scan(&n))
	check(n == 0, "a failed batch leaves nothing")
}

func copyAndRows(ctx context.Context, c *pgx.Conn) {
	rows := make([][]interface{}, 1000)
	for i := range rows {
		rows[i] = []interface{}{int32(2000 + i), "copied"}
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"drv_pgx"}, []string{"id", "v"}, pgx.CopyFromRows(rows))
	must(err)
	check(n == 1000, "copy")
	r, err := c.Query(ctx, "SELECT id FROM drv_pgx WHERE id >= $1 ORDER BY id", 2000)
	must(err)
	got := 0
	for r.Next() {
		var id int
		must(r.Scan(&id))
		check(id == 2000+got, "order")
		got++
	}
	must(r.Err())
	check(got == 1000, "rows")
}

func concurrent(ctx context.Context, pool *pgxpool.Pool, n int, wg *sync.WaitGroup) {
	defer wg.Done()
	for i := 0; i < 60; i++ {
		var got int
		must(pool.QueryRow(ctx, fmt.Sprintf("SELECT $1::int + %d", n), i).Scan(&got))
		check(got == i+n, "concurrent")
		must(pool.BeginFunc(ctx, func(tx pgx.Tx) error {
			var s string
			err := tx.QueryRow(ctx, fmt.Sprintf("SELECT $1::text || '%d'", n), "x").Scan(&s)
			check(err != nil || s == fmt.Sprintf("x%d", n), "concurrent text")
			return err
		}))
	}
}

func main() {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, "")
	must(err)
	basics(ctx, c)
	transactions(ctx, c)
	batch(ctx, c)
	copyAndRows(ctx, c)
	pool, err := pgxpool.Connect(ctx, "pool_max_conns=8")
	must(err)
	var wg sync.WaitGroup
	for n := 0; n < 16; n++ {
		wg.Add(1)
		go concurrent(ctx, pool, n, &wg)
	}
	wg.Wait()
	pool.Close()
	_, err = c.Exec(ctx, "DROP TABLE drv_pgx")
	must(err)
	must(c.Close(ctx))
	fmt.Println("PASS")
}
