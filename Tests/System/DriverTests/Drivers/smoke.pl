# DBD::Pg's program: what it prints through the router must be what it prints on one plain server.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);

binmode STDOUT, ':utf8';
$| = 1;
my ($user, $password, $host, $port, $database) = $ENV{DSN} =~ m{^postgres://(.*?):(.*?)@(.*?):(\d+)/(.*)$};
my @keys = (1, 2**40, -7);

sub show { print join(' ', map { ref $_ ? '[' . join(', ', map { ref $_ ? '(' . join(',', map { $_ // 'NULL' } @$_) . ')' : $_ // 'NULL' } @$_) . ']' : $_ // 'NULL' } @_), "\n" }
sub section { print "== $_[0]\n" }
sub open_connection { DBI->connect("dbi:Pg:host=$host;port=$port;dbname=$database", $user, $password, { RaiseError => 1, PrintError => 0, AutoCommit => 1 }) }

my $c = open_connection();

sub failing {
    my ($sql, @parameters) = @_;
    eval { $c->do($sql, undef, @parameters); 1 } ? show('no error') : show($c->state, $c->ping);
}

section 'definition';
$c->do('CREATE TABLE perl_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0,
    opened timestamptz, tags text[], raw bytea, active boolean NOT NULL DEFAULT true)');
$c->do('CREATE TABLE perl_entries (account_id bigint NOT NULL REFERENCES perl_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL,
    note text, PRIMARY KEY (account_id, entry_id))');
$c->do('CREATE TABLE perl_currencies (code text PRIMARY KEY, name text)');
$c->do('CREATE TABLE perl_settings (name text PRIMARY KEY, value text)');

section 'values';
my $insert = $c->prepare('INSERT INTO perl_accounts VALUES (?, ?, ?, ?, ?, ?, ?)');
$insert->bind_param(6, undef, { pg_type => PG_BYTEA });
show $insert->execute(@$_) for [1, 'Ada', '100.50', '2024-02-29 12:00:00+00', ['a', 'b c', undef], "\x00\x{ff}", 1],
    [2**40, 'Grace', '-0.01', undef, [], '', 0], [-7, 'Édouard ☃', 0, undef, undef, undef, 1];
for my $key (@keys, 404) {
    my $select = $c->prepare('SELECT id, owner, balance, opened, tags[2], active, encode(raw, \'hex\') FROM perl_accounts WHERE id = ?');
    $select->execute($key);
    show [map { $_ // 'NULL' } @{$select->fetchrow_arrayref // []}], $select->rows, $select->{NAME}, $select->{pg_type};
}
show $c->selectall_arrayref('SELECT owner FROM perl_accounts WHERE id = ANY(?)', undef, [1]);
show $c->selectrow_array('SELECT owner, balance FROM perl_accounts WHERE id = $1 AND owner = $2', undef, 1, 'Ada');

section 'prepared statements, over transactions and shards';
my $select = $c->prepare('SELECT owner, balance FROM perl_accounts WHERE id = ?', { pg_prepare_now => 1 });
my $add = $c->prepare('UPDATE perl_accounts SET balance = balance + ? WHERE id = ? RETURNING balance');
for (1 .. 3) {
    $c->begin_work;
    show $c->selectall_arrayref($select, undef, 1);
    $c->commit;
    for my $key (@keys) {
        $add->execute(1, $key);
        show $add->fetchall_arrayref, $c->selectall_arrayref($select, undef, $key);
    }
}
my $direct = $c->prepare('SELECT owner FROM perl_accounts WHERE id = ?', { pg_server_prepare => 0 });
show map { $c->selectrow_array($direct, undef, $_) } @keys;
undef $select;

section 'transactions';
$c->begin_work;
$c->do('INSERT INTO perl_entries VALUES (?, 1, 10, ?)', undef, $_, 'undone') for @keys;
$c->rollback;
$c->begin_work;
$c->do('INSERT INTO perl_entries VALUES (?, 1, 10, ?)', undef, $_, 'kept') for @keys;
$c->pg_savepoint('s');
failing('INSERT INTO perl_entries VALUES (1, 1, 10, ?)', 'twice');
failing('SELECT 1');
$c->pg_rollback_to('s');
$c->do("INSERT INTO perl_entries VALUES (1, 2, 10, 'kept')");
$c->commit;
show $c->selectall_arrayref('SELECT entry_id, note FROM perl_entries WHERE account_id = ? ORDER BY 1', undef, $_) for @keys;

section 'errors, and going on';
failing('INSERT INTO perl_entries VALUES (404, 1, 1, NULL)');
failing('INSERT INTO perl_accounts (id) VALUES (?)', 9);
failing('SELECT nothing FROM perl_accounts WHERE id = ?', 1);
failing('SELECT owner FROM perl_absent WHERE id = ?', 1);
failing('SELEKT');
failing('SELECT owner FROM perl_accounts WHERE id = ?', 'one');
show $c->selectrow_array('SELECT owner FROM perl_accounts WHERE id = ?', undef, 1);

section 'batches';
my $entry = $c->prepare('INSERT INTO perl_entries VALUES (?, ?, ?, ?)');
my @status;
show $entry->execute_array({ ArrayTupleStatus => \@status }, [(@keys) x 50], [map { ($_) x 3 } 100 .. 149], 3, undef);
show $c->selectrow_array('SELECT count(*), sum(amount) FROM perl_entries WHERE account_id = ?', undef, $_) for @keys;

section 'copy';
$c->do('COPY perl_entries FROM STDIN');
for my $key (@keys) { $c->pg_putcopydata("$key\t$_\t$_\tc$_\n") for 1000 .. 1099 }
$c->pg_putcopyend;
for my $key (@keys) {
    $c->do("COPY (SELECT * FROM perl_entries WHERE account_id = $key AND entry_id >= 1000 ORDER BY 2 LIMIT 2) TO STDOUT");
    my $line = '';
    print $line while $c->pg_getcopydata($line) >= 0;
}

section 'cursors';
$c->begin_work;
$c->do('DECLARE walk CURSOR FOR SELECT entry_id FROM perl_entries WHERE account_id = 1 ORDER BY 1');
show $c->selectcol_arrayref('FETCH 3 FROM walk'), $c->selectcol_arrayref('FETCH 2 FROM walk');
$c->commit;

section 'many rows and big values';
$c->do('INSERT INTO perl_entries SELECT id, g, g, NULL FROM perl_accounts, generate_series(10001, 110000) g WHERE id = ?', undef, -7);
my $rows = $c->selectcol_arrayref('SELECT entry_id FROM perl_entries WHERE account_id = ? AND entry_id > 10000 ORDER BY 1', undef, -7);
show scalar @$rows, $rows->[0], $rows->[-1];
my $big = 'x' x (1 << 24);
for my $key (1, -7) {
    $c->do('UPDATE perl_accounts SET owner = ? WHERE id = ?', undef, $big, $key);
    show $c->selectrow_array('SELECT owner FROM perl_accounts WHERE id = ?', undef, $key) eq $big ? 'same' : 'other';
}

section 'cancel';
for my $sql ('SELECT pg_sleep(60)', 'SELECT pg_sleep(60) FROM perl_accounts WHERE id = 1') {
    $c->do($sql, { pg_async => PG_ASYNC });
    select undef, undef, undef, 0.3;
    show $c->pg_cancel, $c->state, $c->ping;
}

section 'metadata, notifications, reference tables';
show [map { $_->{COLUMN_NAME} . ' ' . $_->{pg_type} } @{$c->column_info(undef, 'public', 'perl_accounts', undef)->fetchall_arrayref({})}];
show [$c->primary_key(undef, 'public', 'perl_entries')];
show [sort map { s/.*\.//r } grep { /perl_/ } $c->tables(undef, 'public', 'perl_%', 'TABLE')];
my $other = open_connection();
$other->do('LISTEN perl_news');
$c->do("NOTIFY perl_news, 'one'");
my $heard;
until ($heard = $other->pg_notifies) { select undef, undef, undef, 0.05 }
show $heard->[0], $heard->[2];
$other->disconnect;
show $c->do("INSERT INTO perl_currencies VALUES ('EUR', 'Euro'), ('NOK', 'Krone')");
show $c->selectall_arrayref('SELECT a.id, c.name FROM perl_accounts a, perl_currencies c WHERE a.id = ? ORDER BY 2', undef, $_) for @keys;

section 'fifty open at once';
my @many = map { open_connection() } 1 .. 50;
$_->begin_work for @many;
for my $n (0 .. 49) { $many[$n]->do('INSERT INTO perl_accounts (id, owner) VALUES (?, ?)', undef, 1000 + $n, "w$n") }
$_->commit for @many;
show map { ($many[$_]->selectrow_array('SELECT owner FROM perl_accounts WHERE id = ?', undef, 1049 - $_))[0] } 0 .. 49;
$_->disconnect for @many;

section 'the end';
$c->do('DROP TABLE perl_entries, perl_accounts, perl_currencies, perl_settings');
