// pgx's program: what it prints through the router must be what it prints on one plain server. The address is in DSN.
//
// pgx prepares each statement under a name the first time, keeps it, and sends binary values.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var (
	ctx  = context.Background()
	dsn  = os.Getenv("DSN") + "?sslmode=disable"
	keys = []int64{1, 1 << 40, -7}
)

func section(name string) { fmt.Println("==", name) }

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func failing(c *pgx.Conn, sql string, values ...interface{}) {
	_, err := c.Exec(ctx, sql, values...)
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		fmt.Println(answer.Code, answer.ConstraintName, string(c.PgConn().TxStatus()))
	} else {
		fmt.Println("no error of the server's", err != nil)
	}
}

func exec(c *pgx.Conn, sql string, values ...interface{}) {
	tag, err := c.Exec(ctx, sql, values...)
	check(err)
	fmt.Println(tag)
}

func show(c *pgx.Conn, sql string, values ...interface{}) {
	rows, err := c.Query(ctx, sql, values...)
	check(err)
	for rows.Next() {
		row, err := rows.Values()
		check(err)
		fmt.Printf("%v ", row)
	}
	if rows.Err() != nil {
		fmt.Print(rows.Err())
	}
	fmt.Println(rows.CommandTag())
}

func main() {
	c, err := pgx.Connect(ctx, dsn)
	check(err)
	section("definition")
	exec(c, `CREATE TABLE pgx_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance float8 NOT NULL DEFAULT 0, opened timestamptz, born date,
		tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true)`)
	exec(c, `CREATE TABLE pgx_entries (account_id bigint NOT NULL REFERENCES pgx_accounts (id), entry_id int NOT NULL, amount bigint NOT NULL,
		note text, PRIMARY KEY (account_id, entry_id))`)
	exec(c, "CREATE TABLE pgx_currencies (code text PRIMARY KEY, name text)")
	exec(c, "CREATE TABLE pgx_settings (name text PRIMARY KEY, value text)")

	section("values, binary and by the simple protocol")
	when := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	exec(c, "INSERT INTO pgx_accounts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", 1, "Ada", 100.5, when, when, []string{"a", "b c"}, map[string]int{"k": 1}, []byte{0, 255}, true)
	exec(c, "INSERT INTO pgx_accounts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", int64(1)<<40, "Gra'ce \\", -0.01, nil, nil, []string{}, []int{}, []byte{}, false)
	exec(c, "INSERT INTO pgx_accounts (id, owner) VALUES ($1, $2)", pgx.QuerySimpleProtocol(true), -7, "Édouard ☃")
	for round := 0; round < 2; round++ {
		for _, key := range append(keys, 404) {
			show(c, "SELECT id, owner, balance, opened::text, tags, doc, raw, active FROM pgx_accounts WHERE id = $1", key)
			show(c, "SELECT id, owner FROM pgx_accounts WHERE id = $1", pgx.QuerySimpleProtocol(true), key)
			show(c, "SELECT owner FROM pgx_accounts WHERE id = ANY($1)", []int64{key})
		}
	}

	section("prepared statements, over transactions and shards")
	described, err := c.Prepare(ctx, "add", "UPDATE pgx_accounts SET balance = balance + $2 WHERE id = $1 RETURNING balance")
	check(err)
	fmt.Println(described.ParamOIDs, string(described.Fields[0].Name), described.Fields[0].DataTypeOID)
	for round := 0; round < 3; round++ {
		for _, key := range keys {
			tx, err := c.Begin(ctx)
			check(err)
			show(tx.Conn(), "add", key, 1.0)
			check(tx.Commit(ctx))
			show(c, "add", key, 2.0)
		}
	}
	check(c.Deallocate(ctx, "add"))

	section("transactions")
	tx, err := c.Begin(ctx)
	check(err)
	for _, key := range keys {
		_, err = tx.Exec(ctx, "INSERT INTO pgx_entries VALUES ($1, 1, 10, 'undone')", key)
		check(err)
	}
	check(tx.Rollback(ctx))
	err = c.BeginFunc(ctx, func(tx pgx.Tx) error {
		for _, key := range keys {
			if _, err := tx.Exec(ctx, "INSERT INTO pgx_entries VALUES ($1, 1, 10, 'kept')", key); err != nil {
				return err
			}
		}
		nested, err := tx.Begin(ctx)
		check(err)
		failing(c, "INSERT INTO pgx_entries VALUES ($1, 1, 10, 'twice')", 1)
		failing(c, "SELECT 1")
		return nested.Rollback(ctx)
	})
	check(err)
	for _, key := range keys {
		show(c, "SELECT entry_id, note FROM pgx_entries WHERE account_id = $1", key)
	}
	serial, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	check(err)
	show(c, "SHOW transaction_isolation")
	failing(c, "DELETE FROM pgx_entries WHERE account_id = $1", 1)
	check(serial.Rollback(ctx))

	section("errors, and going on")
	failing(c, "INSERT INTO pgx_entries VALUES (404, 1, 1, NULL)")
	failing(c, "INSERT INTO pgx_accounts (id) VALUES ($1)", 9)
	failing(c, "SELECT nothing FROM pgx_accounts WHERE id = $1", 1)
	failing(c, "SELECT owner FROM pgx_absent WHERE id = $1", 1)
	failing(c, "SELEKT")
	show(c, "SELECT owner FROM pgx_accounts WHERE id = $1", 1)

	section("batches: one sync for many statements of all shards")
	batch := &pgx.Batch{}
	for n := 100; n < 150; n++ {
		for _, key := range keys {
			batch.Queue("INSERT INTO pgx_entries VALUES ($1, $2, $3, NULL)", key, n, n)
		}
	}
	for _, key := range keys {
		batch.Queue("SELECT count(*), sum(amount)::bigint FROM pgx_entries WHERE account_id = $1", key)
	}
	results := c.SendBatch(ctx, batch)
	for n := 0; n < 150; n++ {
		_, err := results.Exec()
		check(err)
	}
	for range keys {
		var count, sum int64
		check(results.QueryRow().Scan(&count, &sum))
		fmt.Println(count, sum)
	}
	check(results.Close())
	batch = &pgx.Batch{}
	batch.Queue("INSERT INTO pgx_entries VALUES ($1, 700, 1, 'undone')", 1)
	batch.Queue("INSERT INTO pgx_entries VALUES ($1, 700, 1, 'undone')", -7)
	batch.Queue("INSERT INTO pgx_entries VALUES ($1, 100, 1, 'twice')", 1)
	err = c.SendBatch(ctx, batch).Close()
	fmt.Println(err != nil)
	for _, key := range keys {
		show(c, "SELECT count(*) FROM pgx_entries WHERE account_id = $1 AND entry_id = 700", key)
	}

	section("copy")
	var lines strings.Builder
	for _, key := range keys {
		for n := 1000; n < 1100; n++ {
			fmt.Fprintf(&lines, "%d\t%d\t%d\tc%d\n", key, n, n, n)
		}
	}
	tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader(lines.String()), "COPY pgx_entries FROM STDIN")
	check(err)
	fmt.Println(tag)
	var copied [][]interface{}
	for _, key := range keys {
		for n := 2000; n < 2050; n++ {
			copied = append(copied, []interface{}{int64(key), int32(n), int64(n), fmt.Sprintf("r%d", n)})
		}
	}
	count64, err := c.CopyFrom(ctx, pgx.Identifier{"pgx_entries"}, []string{"account_id", "entry_id", "amount", "note"}, pgx.CopyFromRows(copied))
	check(err)
	fmt.Println(count64)
	for _, key := range keys {
		show(c, "SELECT count(*), sum(amount), max(note) FROM pgx_entries WHERE account_id = $1 AND entry_id BETWEEN 2000 AND 2999", key)
	}
	var out strings.Builder
	tag, err = c.PgConn().CopyTo(ctx, &out, "COPY (SELECT * FROM pgx_entries WHERE account_id = -7 AND entry_id >= 1000 ORDER BY 2 LIMIT 3) TO STDOUT")
	check(err)
	fmt.Printf("%v %q\n", tag, out.String())

	section("many rows and big values")
	exec(c, "INSERT INTO pgx_entries SELECT id, g, g, NULL FROM pgx_accounts, generate_series(10001, 110000) g WHERE id = $1", -7)
	rows, err := c.Query(ctx, "SELECT entry_id FROM pgx_entries WHERE account_id = $1 AND entry_id > 10000 ORDER BY 1", -7)
	check(err)
	count, sum := 0, int64(0)
	for rows.Next() {
		var id int64
		check(rows.Scan(&id))
		count++
		sum += id
	}
	fmt.Println(count, sum, rows.Err())
	big := []byte(strings.Repeat("0123456789abcde\x00", 1<<20))
	for _, key := range []int64{1, -7} {
		var back []byte
		check(c.QueryRow(ctx, "UPDATE pgx_accounts SET raw = $1 WHERE id = $2 RETURNING raw", big, key).Scan(&back))
		fmt.Println(len(back), string(back) == string(big))
	}

	section("cancel: by a request beside the connection, and by a deadline, which ends it")
	for _, sql := range []string{"SELECT pg_sleep(60)", "SELECT pg_sleep(60) FROM pgx_accounts WHERE id = 1"} {
		timer := time.AfterFunc(500*time.Millisecond, func() { _ = c.PgConn().CancelRequest(ctx) })
		failing(c, sql)
		timer.Stop()
	}
	other, err := pgx.Connect(ctx, dsn+"&application_name=smoke")
	check(err)
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = other.Exec(short, "SELECT pg_sleep(60) FROM pgx_accounts WHERE id = 1")
	stop()
	fmt.Println(err != nil, other.IsClosed())

	section("notifications, reference tables")
	other, err = pgx.Connect(ctx, dsn+"&application_name=smoke")
	check(err)
	exec(other, "LISTEN pgx_news")
	exec(c, "NOTIFY pgx_news, 'one'")
	heard, err := other.WaitForNotification(ctx)
	check(err)
	fmt.Println(heard.Channel, heard.Payload)
	show(other, "SHOW application_name")
	check(other.Close(ctx))
	exec(c, "INSERT INTO pgx_currencies VALUES ('EUR', 'Euro'), ('NOK', $1)", "Krone")
	for _, key := range keys {
		show(c, "SELECT a.id, c.name FROM pgx_accounts a, pgx_currencies c WHERE a.id = $1 ORDER BY 2", key)
	}

	section("fifty at once from a pool")
	config, err := pgxpool.ParseConfig(dsn + "&pool_max_conns=50")
	check(err)
	pool, err := pgxpool.ConnectConfig(ctx, config)
	check(err)
	var group sync.WaitGroup
	counts := make([]int64, 50)
	for number := range counts {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			for n := 0; n < 10; n++ {
				_, err := pool.Exec(ctx, "INSERT INTO pgx_accounts (id, owner) VALUES ($1, $2)", 1000*(number+1)+n, fmt.Sprint("w", number))
				check(err)
			}
			_, err := pool.Exec(ctx, "UPDATE pgx_accounts SET balance = balance + 1 WHERE id = $1", -7)
			check(err)
			for n := 0; n < 10; n++ {
				var one int64
				check(pool.QueryRow(ctx, "SELECT count(*) FROM pgx_accounts WHERE id = $1", 1000*(number+1)+n).Scan(&one))
				counts[number] += one
			}
		}(number)
	}
	group.Wait()
	fmt.Println(counts)
	pool.Close()
	show(c, "SELECT balance FROM pgx_accounts WHERE id = $1", -7)

	section("the end")
	exec(c, "DROP TABLE pgx_entries, pgx_accounts, pgx_currencies, pgx_settings")
	check(c.Close(ctx))
}
