// node-postgres: simple and extended queries, named statements, its pool, many queries in a row on one connection.
'use strict'
const assert = require('assert')
const { Client, Pool } = require('pg')

async function basics(c) {
  await c.query('DROP TABLE IF EXISTS drv_node; CREATE TABLE drv_node (id int PRIMARY KEY, v text, at timestamptz, b bytea, j jsonb, a int[])')
  const at = new Date('2024-02-29T12:34:56.789Z')
  for (let i = 1; i <= 10; i++) {
    await c.query('INSERT INTO drv_node VALUES ($1, $2, $3, $4, $5, $6)', [i, `grüß € ${i}`, at, Buffer.from([0, 255]), { k: [1, null] }, [1, 2]])
  }
  for (let i = 1; i <= 10; i++) {
    const r = await c.query({ name: 'by_id', text: 'SELECT * FROM drv_node WHERE id = $1', values: [i] })
    const row = r.rows[0]
    assert.strictEqual(row.v, `grüß € ${i}`)
    assert.strictEqual(row.at.getTime(), at.getTime())
    assert.ok(row.b.equals(Buffer.from([0, 255])))
    assert.deepStrictEqual([row.j, row.a], [{ k: [1, null] }, [1, 2]])
  }
  const several = await c.query('SELECT 1 AS a; SELECT 2 AS b')
  assert.strictEqual(several[1].rows[0].b, 2)
}

async function transactions(c) {
  await c.query('BEGIN')
  await c.query('DELETE FROM drv_node')
  await c.query('ROLLBACK')
  await c.query('BEGIN')
  await c.query('SAVEPOINT a')
  await assert.rejects(c.query('INSERT INTO drv_node (id) VALUES ($1)', [1]), { code: '23505' })
  await assert.rejects(c.query('SELECT 1'), { code: '25P02' })
  await c.query('ROLLBACK TO a')
  await c.query('INSERT INTO drv_node (id) VALUES ($1)', [11])
  await c.query('COMMIT')
  const r = await c.query('SELECT count(*)::int AS n FROM drv_node')
  assert.strictEqual(r.rows[0].n, 11)
  await assert.rejects(c.query('SELECT 1 / $1::int', [0]), { code: '22012' })
}

async function queued(c) {
  const all = []
  for (let i = 0; i < 200; i++) all.push(c.query({ name: 'q' + (i % 20), text: `SELECT $1::int + ${i % 20} AS n`, values: [i] }))
  const got = await Promise.all(all)
  got.forEach((r, i) => assert.strictEqual(r.rows[0].n, i + i % 20))
}

async function concurrent(n) {
  const c = new Client()
  await c.connect()
  for (let i = 0; i < 60; i++) {
    const r = await c.query({ name: 'same', text: `SELECT $1::int + ${n} AS n`, values: [i] })
    assert.strictEqual(r.rows[0].n, i + n)
  }
  await c.end()
}

async function notifications() {
  const c = new Client()
  await c.connect()
  const heard = new Promise((resolve) => c.on('notification', resolve))
  await c.query('LISTEN drv_node')
  await c.query("SELECT pg_notify('drv_node', 'hello')")
  assert.strictEqual((await heard).payload, 'hello')
  await c.end()
}

async function main() {
  const c = new Client()
  await c.connect()
  await basics(c)
  await transactions(c)
  await queued(c)
  await notifications()
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(concurrent))
  const pool = new Pool({ max: 8 })
  const all = []
  for (let i = 0; i < 200; i++) all.push(pool.query('SELECT $1::int AS n', [i]))
  ;(await Promise.all(all)).forEach((r, i) => assert.strictEqual(r.rows[0].n, i))
  await pool.end()
  await c.query('DROP TABLE drv_node')
  await c.end()
  console.log('PASS')
}

main().catch((e) => { console.error(e); process.exit(1) })
