# ruby-pg's program: what it prints through the router must be what it prints on one plain server.
require 'pg'

DSN = ENV.fetch('DSN')
KEYS = [1, 2**40, -7].freeze
$stdout.sync = true

def show(*values) = puts(values.map(&:inspect).join(' '))
def section(name) = puts("== #{name}")

def failing(connection, sql, parameters = nil)
  parameters ? connection.exec_params(sql, parameters) : connection.exec(sql)
  show 'no error'
rescue PG::Error => e
  show e.class, e.result&.error_field(PG::PG_DIAG_SQLSTATE), e.result&.error_field(PG::PG_DIAG_CONSTRAINT_NAME), connection.transaction_status
end

c = PG.connect(DSN)
section 'definition'
c.exec('CREATE TABLE ruby_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0,
  opened timestamptz, tags text[], raw bytea, active boolean NOT NULL DEFAULT true)')
c.exec('CREATE TABLE ruby_entries (account_id bigint NOT NULL REFERENCES ruby_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL,
  note text, PRIMARY KEY (account_id, entry_id))')
c.exec('CREATE TABLE ruby_currencies (code text PRIMARY KEY, name text)')
c.exec('CREATE TABLE ruby_settings (name text PRIMARY KEY, value text)')

section 'values, text and binary'
[[1, 'Ada', '100.50', '2024-02-29 12:00:00+00', '{a,"b c",NULL}', "\x00\xff".b, true], [2**40, 'Grace', '-0.01', nil, '{}', ''.b, false],
 [-7, 'Édouard ☃', '0', nil, nil, nil, true]].each do |row|
  values = row.each_with_index.map { |value, n| n == 5 && value ? { value: value, format: 1 } : value }
  show c.exec_params('INSERT INTO ruby_accounts VALUES ($1, $2, $3, $4, $5, $6, $7)', values).cmd_tuples
end
[0, 1].each do |format|
  [*KEYS, 404].each do |key|
    result = c.exec_params('SELECT id, owner, raw, active FROM ruby_accounts WHERE id = $1', [key], format)
    show result.values, result.fields, result.nfields.times.map { |n| result.ftype(n) }, result.cmd_status
  end
end
key = { value: [1].pack('q>'), format: 1, type: 20 }
show c.exec_params('SELECT owner FROM ruby_accounts WHERE id = $1', [key]).values
c.type_map_for_results = PG::BasicTypeMapForResults.new(c)
show c.exec_params('SELECT id, active, tags, opened FROM ruby_accounts WHERE id = $1', [1]).values
c.type_map_for_results = PG::TypeMapAllStrings.new

section 'prepared statements, over transactions and shards'
c.prepare('owner', 'SELECT owner, balance FROM ruby_accounts WHERE id = $1')
c.prepare('add', 'UPDATE ruby_accounts SET balance = balance + $2 WHERE id = $1')
described = c.describe_prepared('owner')
show described.fields, described.nparams, described.paramtype(0)
3.times do
  c.transaction { show c.exec_prepared('owner', [1]).values }
  KEYS.each { |id| show c.exec_prepared('add', [id, 1]).cmd_tuples, c.exec_prepared('owner', [id]).values }
end
c.exec('DEALLOCATE owner')
begin
  c.exec_prepared('owner', [1])
rescue PG::Error => e
  show e.class
end

section 'transactions'
begin
  c.transaction do
    KEYS.each { |id| c.exec_params('INSERT INTO ruby_entries VALUES ($1, 1, 10, $2)', [id, 'undone']) }
    raise 'given up'
  end
rescue RuntimeError => e
  show e.message
end
c.transaction { KEYS.each { |id| c.exec_params('INSERT INTO ruby_entries VALUES ($1, 1, 10, $2)', [id, 'kept']) } }
c.exec('BEGIN')
failing c, 'INSERT INTO ruby_entries VALUES ($1, 1, 10, NULL)', [1]
failing c, 'SELECT 1'
show c.exec('COMMIT').cmd_status
show(KEYS.map { |id| c.exec_params('SELECT entry_id, note FROM ruby_entries WHERE account_id = $1', [id]).values })

section 'errors, and going on'
failing c, 'INSERT INTO ruby_entries VALUES (404, 1, 1, NULL)'
failing c, 'INSERT INTO ruby_accounts (id) VALUES ($1)', [9]
failing c, 'SELECT nothing FROM ruby_accounts WHERE id = $1', [1]
failing c, 'SELECT owner FROM ruby_absent WHERE id = 1'
failing c, 'SELEKT'
failing c, 'SELECT owner FROM ruby_accounts WHERE id = $1', ['one']
show c.exec_params('SELECT owner FROM ruby_accounts WHERE id = $1', [1]).getvalue(0, 0)

section 'copy'
rows = KEYS.flat_map { |id| (1000...1100).map { |n| [id.to_s, n.to_s, n.to_s, "c#{n}"] } }
result = c.copy_data('COPY ruby_entries FROM STDIN', PG::TextEncoder::CopyRow.new) { rows.each { |row| c.put_copy_data(row) } }
show result.cmd_tuples
KEYS.each do |id|
  read = []
  c.copy_data("COPY (SELECT * FROM ruby_entries WHERE account_id = #{id} AND entry_id >= 1000 ORDER BY 2 LIMIT 2) TO STDOUT", PG::TextDecoder::CopyRow.new) do
    while (row = c.get_copy_data) do read << row end
  end
  show read
end
begin
  c.copy_data('COPY ruby_entries FROM STDIN') { c.put_copy_data("1\t2000\t1\tx\n-7\t1000\t1\ttwice\n") }
rescue PG::Error => e
  show e.class
end
show c.exec('SELECT count(*) FROM ruby_entries WHERE account_id = 1 AND entry_id = 2000').values

section 'pipeline'
c.enter_pipeline_mode
KEYS.each { |id| c.send_query_params('SELECT owner FROM ruby_accounts WHERE id = $1', [id]); c.pipeline_sync }
c.send_query_params('INSERT INTO ruby_entries VALUES (1, 3000, 1, NULL)', [])
c.send_query_params('INSERT INTO ruby_entries VALUES (1, 1, 1, NULL)', [])
c.send_query_params('INSERT INTO ruby_entries VALUES (1, 3001, 1, NULL)', [])
c.pipeline_sync
syncs = 0
while syncs < 4
  begin
    result = c.get_result or next
  rescue PG::Error => e
    next show(e.class)
  end
  show PG.constants.find { |name| name.to_s.start_with?('PGRES_') && PG.const_get(name) == result.result_status }, result.values
  syncs += 1 if result.result_status == PG::PGRES_PIPELINE_SYNC
end
c.exit_pipeline_mode
show c.exec('SELECT count(*) FROM ruby_entries WHERE account_id = 1 AND entry_id >= 3000').values

section 'many rows, one by one, and big values'
c.exec('INSERT INTO ruby_entries SELECT id, g, g, NULL FROM ruby_accounts, generate_series(10001, 110000) g WHERE id = -7')
c.send_query_params('SELECT entry_id FROM ruby_entries WHERE account_id = $1 AND entry_id > 10000 ORDER BY 1', [-7])
c.set_single_row_mode
count = sum = 0
c.get_result.stream_each { |row| count += 1; sum += row['entry_id'].to_i }
c.get_result
show count, sum
big = ('x' * 15 + "\x00").b * (1 << 20)
[1, -7].each do |id|
  c.exec_params('UPDATE ruby_accounts SET raw = $1 WHERE id = $2', [{ value: big, format: 1 }, id])
  show c.exec_params('SELECT raw FROM ruby_accounts WHERE id = $1', [id], 1).getvalue(0, 0) == big
end

section 'cancel'
['SELECT pg_sleep(60)', 'SELECT pg_sleep(60) FROM ruby_accounts WHERE id = 1'].each do |sql|
  thread = Thread.new { sleep 0.5; c.cancel }
  failing c, sql
  thread.join
end

section 'notifications, settings, reference tables'
other = PG.connect(DSN, application_name: 'smoke')
other.exec('LISTEN ruby_news')
c.exec("NOTIFY ruby_news, 'one'")
other.wait_for_notify(20) { |channel, _, payload| show channel, payload }
show other.exec('SHOW application_name').values
other.reset
show other.exec('SELECT 1').values
other.finish
show c.exec("INSERT INTO ruby_currencies VALUES ('EUR', 'Euro'), ('NOK', 'Krone')").cmd_tuples
KEYS.each { |id| show c.exec_params('SELECT a.id, c.name FROM ruby_accounts a, ruby_currencies c WHERE a.id = $1 ORDER BY 2', [id]).values }

section 'fifty at once'
counts = 50.times.map do |number|
  Thread.new do
    own = PG.connect(DSN)
    10.times { |n| own.exec_params('INSERT INTO ruby_accounts (id, owner) VALUES ($1, $2)', [1000 * (number + 1) + n, "w#{number}"]) }
    own.transaction { own.exec('UPDATE ruby_accounts SET balance = balance + 1 WHERE id = -7') }
    total = 10.times.sum { |n| own.exec_params('SELECT 1 FROM ruby_accounts WHERE id = $1', [1000 * (number + 1) + n]).ntuples }
    own.finish
    total
  end
end.map(&:value)
show counts, c.exec('SELECT balance FROM ruby_accounts WHERE id = -7').values

section 'the end'
c.exec('DROP TABLE ruby_entries, ruby_accounts, ruby_currencies, ruby_settings')
