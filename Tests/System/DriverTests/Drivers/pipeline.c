/* libpq's pipeline mode: what it prints through the router must be what it prints on one plain server. The address is in DSN. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *c;
static const char *keys[] = {"1", "1099511627776", "-7"};

static void quit(const char *what) {
    printf("%s: %s\n", what, PQerrorMessage(c));
    exit(1);
}

static void run(const char *sql) {
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) quit(sql);
    PQclear(r);
}

static void send(const char *sql, int count, const char *const *values) {
    if (!PQsendQueryParams(c, sql, count, NULL, values, NULL, NULL, 0)) quit("send");
}

/* Prints the results up to the next `syncs` syncs, and the end of each statement (a NULL) as a dot. */
static void show(int syncs) {
    while (syncs > 0) {
        PGresult *r = PQgetResult(c);
        if (!r) {
            printf(".\n");
            continue;
        }
        ExecStatusType status = PQresultStatus(r);
        printf("%s %s", PQresStatus(status), PQcmdStatus(r));
        if (status == PGRES_FATAL_ERROR) printf("%s", PQresultErrorField(r, PG_DIAG_SQLSTATE));
        for (int row = 0; row < PQntuples(r) && row < 3; row++)
            for (int n = 0; n < PQnfields(r); n++) printf(" %s=%s", PQfname(r, n), PQgetvalue(r, row, n));
        printf(" (%d rows, %d parameters)\n", PQntuples(r), PQnparams(r));
        if (status == PGRES_PIPELINE_SYNC) syncs--;
        PQclear(r);
    }
}

static void section(const char *name) { printf("== %s\n", name); }

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    c = PQconnectdb(getenv("DSN"));
    if (PQstatus(c) != CONNECTION_OK) quit("connect");
    run("CREATE TABLE libpq_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance int NOT NULL DEFAULT 0)");
    run("CREATE TABLE libpq_entries (account_id bigint NOT NULL REFERENCES libpq_accounts (id), entry_id int NOT NULL, note text, PRIMARY KEY (account_id, entry_id))");
    run("CREATE TABLE libpq_currencies (code text PRIMARY KEY, name text)");
    run("CREATE TABLE libpq_settings (name text PRIMARY KEY, value text)");
    if (!PQenterPipelineMode(c)) quit("pipeline");

    section("one sync for rows of all shards: one transaction");
    for (int n = 0; n < 3; n++) {
        const char *values[] = {keys[n], "owner"};
        send("INSERT INTO libpq_accounts (id, owner) VALUES ($1, $2)", 2, values);
    }
    PQpipelineSync(c);
    show(1);

    section("a statement prepared, described and used in the same pipeline, over shards");
    PQsendPrepare(c, "owner", "SELECT id, owner, balance FROM libpq_accounts WHERE id = $1", 0, NULL);
    PQsendDescribePrepared(c, "owner");
    for (int n = 0; n < 6; n++) {
        const char *values[] = {keys[n % 3]};
        PQsendQueryPrepared(c, "owner", 1, values, NULL, NULL, 0);
    }
    PQpipelineSync(c);
    show(1);

    section("a failing statement undoes its part, and what follows it up to the sync is skipped");
    send("INSERT INTO libpq_entries VALUES (1, 1, 'undone')", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (-7, 1, 'undone')", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (404, 1, 'no account')", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (1, 2, 'skipped')", 0, NULL);
    PQpipelineSync(c);
    send("SELECT count(*) FROM libpq_entries WHERE account_id = 1", 0, NULL);
    send("SELECT count(*) FROM libpq_entries WHERE account_id = -7", 0, NULL);
    PQpipelineSync(c);
    show(2);
    send("SELECT nothing FROM libpq_accounts WHERE id = 1", 0, NULL);
    send("SELECT 1", 0, NULL);
    PQpipelineSync(c);
    send("SELEKT", 0, NULL);
    PQpipelineSync(c);
    PQsendQueryPrepared(c, "absent", 0, NULL, NULL, NULL, 0);
    PQpipelineSync(c);
    show(3);

    section("transactions inside, with syncs of their own");
    send("BEGIN", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (1, 10, 'kept')", 0, NULL);
    PQpipelineSync(c);
    send("SAVEPOINT s", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (1, 10, 'twice')", 0, NULL);
    PQpipelineSync(c);
    send("SELECT 1", 0, NULL);
    PQpipelineSync(c);
    send("ROLLBACK TO s", 0, NULL);
    send("INSERT INTO libpq_entries VALUES (-7, 10, 'kept')", 0, NULL);
    send("COMMIT", 0, NULL);
    PQpipelineSync(c);
    show(4);

    section("a thousand statements before the first answer is read");
    char number[16];
    for (int n = 0; n < 1000; n++) {
        snprintf(number, sizeof number, "%d", 1000 + n);
        const char *values[] = {keys[n % 3], number};
        send("INSERT INTO libpq_entries VALUES ($1, $2, 'many') RETURNING entry_id", 2, values);
        if (n % 10 == 9) PQpipelineSync(c);
    }
    int syncs = 0, rows = 0, others = 0;
    while (syncs < 100) {
        PGresult *r = PQgetResult(c);
        if (!r) continue;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) syncs++;
        else if (PQresultStatus(r) == PGRES_TUPLES_OK) rows += PQntuples(r);
        else others++;
        PQclear(r);
    }
    printf("%d %d\n", rows, others);

    section("rows one by one, and 16 MB beside small ones");
    send("SELECT g FROM libpq_accounts, generate_series(1, 100000) g WHERE id = -7", 0, NULL);
    PQpipelineSync(c);
    PQsetSingleRowMode(c);
    long count = 0, sum = 0;
    for (PGresult *r; (r = PQgetResult(c)); PQclear(r))
        if (PQresultStatus(r) == PGRES_SINGLE_TUPLE) count++, sum += atol(PQgetvalue(r, 0, 0));
    printf("%ld %ld\n", count, sum);
    show(1);
    char *big = malloc((1 << 24) + 1);
    memset(big, 'x', 1 << 24);
    big[1 << 24] = 0;
    for (int n = 0; n < 3; n++) {
        const char *values[] = {big, keys[n]};
        send("UPDATE libpq_accounts SET owner = $1 WHERE id = $2", 2, values);
        send("SELECT length(owner) FROM libpq_accounts WHERE id = $1", 1, values + 1);
        PQpipelineSync(c);
        show(1);
    }

    section("cancel");
    send("SELECT pg_sleep(60) FROM libpq_accounts WHERE id = 1", 0, NULL);
    send("SELECT 2", 0, NULL);
    PQpipelineSync(c);
    PGconn *other = PQconnectdb(getenv("DSN"));
    /* Until it runs, there is nothing to cancel. */
    PQclear(PQexec(other, "SELECT pg_sleep(0.5)"));
    PQfinish(other);
    char reason[256];
    PGcancel *cancel = PQgetCancel(c);
    if (!PQcancel(cancel, reason, sizeof reason)) quit(reason);
    PQfreeCancel(cancel);
    show(1);

    section("the end");
    if (!PQexitPipelineMode(c)) quit("exit");
    run("DROP TABLE libpq_entries, libpq_accounts, libpq_currencies, libpq_settings");
    PQfinish(c);
    return 0;
}
