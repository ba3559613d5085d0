// node-postgres's smoke test: what it prints through the router must be what it prints on one plain server.
//
// The address is in DSN. The placements of its tables are declared before; no statement here is PGMosaic's own.
'use strict'
const { Client, Pool } = require('pg')

const connectionString = process.env.DSN
const show = (...values) => console.log(values.map((value) => JSON.stringify(value)).join(' '))
const section = (name) => console.log('== ' + name)
const big = (2n ** 40n).toString()

async function failing(client, ...query) {
    try {
        await client.query(...query)
        show('no error')
    } catch (error) {
        show(error.code, error.constraint || null)
    }
}

async function definition(client) {
    section('definition')
    await client.query(`CREATE TABLE node_accounts (
        id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0, opened timestamptz,
        tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true)`)
    await client.query(`CREATE TABLE node_entries (
        account_id bigint NOT NULL REFERENCES node_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL, note text,
        PRIMARY KEY (account_id, entry_id))`)
    await client.query('CREATE TABLE node_currencies (code text PRIMARY KEY, name text, rate numeric)')
    await client.query('CREATE TABLE node_settings (name text PRIMARY KEY, value text)')
}

async function values(client) {
    section('values, text and binary')
    const insert = 'INSERT INTO node_accounts VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id'
    show((await client.query(insert, [1, 'Ada', '100.50', new Date('2024-02-29T12:00:00Z'), ['a', 'b c'], { k: [1, null] }, Buffer.from([0, 255]), true])).rows)
    show((await client.query(insert, [big, 'Grace', '-0.01', null, [], [], Buffer.from("x"), false])).rows)
    show((await client.query(insert, [-7, 'Édouard ☃', 0, null, null, null, null, true])).rows)
    for (const binary of [false, true]) {
        for (const key of [1, big, -7, 404]) {
            // With `binary`, this library would call its parameters binary, too, and send them as text.
            const query = binary ? { text: `SELECT id, owner, active FROM node_accounts WHERE id = ${key}`, binary }
                : { text: 'SELECT id, owner, active FROM node_accounts WHERE id = $1', values: [key] }
            const result = await client.query(query)
            show(result.rows, result.command, result.rowCount, result.fields.map((field) => [field.name, field.dataTypeID]))
        }
    }
    show((await client.query('SELECT * FROM node_accounts WHERE id = 1')).rows)
    show((await client.query({ text: 'SELECT owner, balance FROM node_accounts WHERE id = $1', values: [1], rowMode: 'array' })).rows)
    show((await client.query('SELECT owner FROM node_accounts WHERE id = ANY($1)', [[1]])).rows)
    show((await client.query('UPDATE node_accounts SET balance = balance + $2 WHERE id = $1', [1, '0.25'])).rowCount)
}

async function prepared(client) {
    section('prepared statements, over transactions and shards')
    for (let round = 0; round < 3; round++) {
        await client.query('BEGIN')
        show((await client.query({ name: 'owner', text: 'SELECT owner FROM node_accounts WHERE id = $1', values: [1] })).rows)
        await client.query('COMMIT')
        for (const key of [1, big, -7]) {
            show((await client.query({ name: 'owner', text: 'SELECT owner FROM node_accounts WHERE id = $1', values: [key] })).rows)
            show((await client.query({ name: 'add', text: 'UPDATE node_accounts SET balance = balance + 1 WHERE id = $1 RETURNING balance', values: [key] })).rows)
        }
    }
}

async function transactions(client) {
    section('transactions')
    await client.query('BEGIN')
    await client.query("INSERT INTO node_entries VALUES (1, 1, 10, 'kept')")
    await client.query('SAVEPOINT s')
    await failing(client, 'INSERT INTO node_entries VALUES ($1, 1, 10, NULL)', [1])
    await failing(client, 'SELECT 1')
    await client.query('ROLLBACK TO s')
    await client.query("INSERT INTO node_entries VALUES (1, 2, 10, 'kept')")
    show((await client.query('COMMIT')).command)
    await client.query('BEGIN')
    await client.query('DELETE FROM node_entries WHERE account_id = 1')
    show((await client.query('ROLLBACK')).command)
    await client.query('BEGIN')
    await failing(client, 'SELECT 1 / 0 FROM node_accounts WHERE id = 1')
    show((await client.query('COMMIT')).command)
    show((await client.query('SELECT entry_id, note FROM node_entries WHERE account_id = 1 ORDER BY 1')).rows)
}

async function errors(client) {
    section('errors, and going on')
    await failing(client, 'INSERT INTO node_entries VALUES (404, 1, 1, NULL)')
    await failing(client, 'INSERT INTO node_accounts (id) VALUES ($1)', [9])
    await failing(client, 'SELECT nothing FROM node_accounts WHERE id = $1', [1])
    await failing(client, 'SELECT owner FROM node_absent WHERE id = $1', [1])
    await failing(client, 'SELEKT')
    await failing(client, 'SELECT owner FROM node_accounts WHERE id = $1', ['one'])
    show((await client.query('SELECT owner FROM node_accounts WHERE id = $1', [1])).rows)
}

async function queued(client) {
    section('queries queued behind each other')
    const answers = []
    for (let n = 0; n < 30; n++) {
        answers.push(client.query('INSERT INTO node_entries VALUES ($1, $2, $3, NULL) RETURNING entry_id', [[1, big, -7][n % 3], 100 + n, n]))
    }
    show((await Promise.all(answers)).map((answer) => answer.rows[0].entry_id))
}

async function cursors(client) {
    section('cursors')
    await client.query('BEGIN')
    await client.query('DECLARE c CURSOR FOR SELECT entry_id FROM node_entries WHERE account_id = 1 ORDER BY 1')
    show((await client.query('FETCH 2 FROM c')).rows, (await client.query('FETCH 2 FROM c')).rows)
    await client.query('CLOSE c')
    await client.query('COMMIT')
    // The protocol's own: a portal that is read piece by piece.
    await client.query('BEGIN')
    show((await client.query({ text: 'SELECT entry_id FROM node_entries WHERE account_id = $1 ORDER BY 1', values: [1], rows: 5 })).rows.length)
    await client.query('COMMIT')
}

async function large(client) {
    section('many and big rows')
    await client.query('INSERT INTO node_entries SELECT id, g, g, NULL FROM node_accounts, generate_series(1001, 11000) g WHERE id = $1', [-7])
    const rows = (await client.query('SELECT entry_id, amount FROM node_entries WHERE account_id = -7 AND entry_id > 1000 ORDER BY 1')).rows
    show(rows.length, rows[0], rows[9999], rows.reduce((sum, row) => sum + row.entry_id, 0))
    const text = '☃0123456789'.repeat(80000)
    for (const key of [1, -7]) {
        await client.query('UPDATE node_accounts SET owner = $2, raw = $3 WHERE id = $1', [key, text, Buffer.from(text)])
        const row = (await client.query('SELECT owner, raw FROM node_accounts WHERE id = $1', [key])).rows[0]
        show(row.owner.length, row.raw.length, row.owner === text, row.raw.equals(Buffer.from(text)))
    }
}

async function cancelling(client) {
    section('cancel')
    for (const text of ['SELECT pg_sleep(60)', 'SELECT pg_sleep(60) FROM node_accounts WHERE id = 1']) {
        const { processID, secretKey } = client
        const timer = setTimeout(() => {
            const connection = new Client({ connectionString }).connection
            connection.on('connect', () => connection.cancel(processID, secretKey))
            connection.connect(client.port, client.host)
        }, 500)
        await failing(client, text)
        clearTimeout(timer)
    }
    await client.query("SET statement_timeout = '100ms'")
    await failing(client, 'SELECT pg_sleep(60) FROM node_accounts WHERE id = $1', [1])
    await client.query('RESET statement_timeout')
}

async function sharedTables(client) {
    section('reference and local tables')
    show((await client.query("INSERT INTO node_currencies VALUES ('EUR', 'Euro', 1), ('NOK', 'Krone', $1)", ['11.5'])).rowCount)
    show((await client.query('UPDATE node_currencies SET rate = $1 WHERE code = $2 RETURNING name, rate', ['12', 'NOK'])).rows)
    await failing(client, "INSERT INTO node_currencies VALUES ('EUR', 'x', 1)")
    for (const key of [1, big, -7]) {
        show((await client.query('SELECT a.id, c.name FROM node_accounts a, node_currencies c WHERE a.id = $1 ORDER BY 2', [key])).rows)
    }
    await client.query("INSERT INTO node_settings VALUES ('colour', 'blue')")
    show((await client.query('SELECT * FROM node_settings')).rows)
}

async function settings(client) {
    section('settings')
    await client.query("SET TIME ZONE 'Asia/Kolkata'")
    show((await client.query('SELECT opened, opened::text FROM node_accounts WHERE id = $1', [1])).rows)
    await client.query('RESET ALL')
    const other = new Client({ connectionString, application_name: 'smoke', statement_timeout: 12345 })
    await other.connect()
    show((await other.query('SHOW application_name')).rows, (await other.query('SHOW statement_timeout')).rows)
    await other.end()
}

async function metadata(client) {
    section('metadata')
    show((await client.query({
        text: `SELECT table_name, column_name, data_type FROM information_schema.columns
            WHERE table_schema = $1 AND table_name LIKE 'node\\_%' ORDER BY table_name, ordinal_position`, values: ['public'], rowMode: 'array',
    })).rows)
}

async function manyConnections() {
    section('twenty connections at once')
    const pool = new Pool({ connectionString, max: 20 })
    const counts = await Promise.all([...Array(20).keys()].map(async (number) => {
        const client = await pool.connect()
        for (let round = 0; round < 10; round++) {
            await client.query('INSERT INTO node_accounts (id, owner) VALUES ($1, $2)', [1000 * (number + 1) + round, 'w' + number])
            await client.query('BEGIN')
            await client.query('UPDATE node_accounts SET balance = balance + 1 WHERE id = $1', [-7])
            await client.query('COMMIT')
        }
        let count = 0
        for (let round = 0; round < 10; round++) {
            count += (await client.query('SELECT 1 FROM node_accounts WHERE id = $1', [1000 * (number + 1) + round])).rowCount
        }
        client.release()
        return count
    }))
    show(counts, (await pool.query('SELECT balance FROM node_accounts WHERE id = -7')).rows)
    await pool.end()
}

async function hints(client) {
    section('hints: what only the client knows is about one key')
    const keys = [70001, 70002, 70003, 70004, 70005, 70006]
    for (const key of keys) await client.query('INSERT INTO node_accounts (id, owner) VALUES ($1, $2)', [key, 'owner ' + key])
    await client.query("CREATE FUNCTION node_owner(bigint) RETURNS text LANGUAGE sql AS 'SELECT owner FROM node_accounts WHERE id = $1'")
    for (const key of keys) {
        const text = `/* pgmosaic: shard_key=${key} */ SELECT node_owner($1)`
        show((await client.query(text, [key])).rows)
        for (let round = 0; round < 3; round++) show((await client.query({ name: 'owner' + key, text, values: [key] })).rows)
    }
    await client.query('DROP FUNCTION node_owner(bigint)')
    for (const key of keys) await client.query('DELETE FROM node_accounts WHERE id = $1', [key])
}

async function main() {
    const client = new Client({ connectionString })
    await client.connect()
    for (const step of [
        definition, values, prepared, transactions, errors, queued, cursors, large, cancelling, sharedTables, settings, hints, metadata, manyConnections,
    ]) await step(client)
    section('the end')
    await client.query('DROP TABLE node_entries, node_accounts, node_currencies, node_settings')
    await client.end()
}

main().catch((error) => {
    console.log(error)
    process.exit(1)
})
