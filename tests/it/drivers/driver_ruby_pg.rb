# ruby-pg: exec, exec_params, prepared statements, COPY, pipeline mode, single-row mode, threads.
require 'pg'

def check(got, wanted)
  raise "got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

def state
  yield
  nil
rescue PG::Error => e
  e.result.error_field(PG::PG_DIAG_SQLSTATE)
end

def basics(c)
  c.exec('DROP TABLE IF EXISTS drv_ruby')
  c.exec('CREATE TABLE drv_ruby (id int PRIMARY KEY, v text, b bytea)')
  c.prepare('ins', 'INSERT INTO drv_ruby VALUES ($1, $2, $3)')
  (1..10).each { |i| c.exec_prepared('ins', [i, "grüß € #{i}", { value: "\x00\xff".b, format: 1 }]) }
  r = c.exec_params('SELECT v, b, $2::text IS NULL AS n FROM drv_ruby WHERE id = $1::int', [3, nil], 1)
  check(r.getvalue(0, 0).force_encoding('UTF-8'), 'grüß € 3')
  check(r.getvalue(0, 1).b, "\x00\xff".b)
  check(c.describe_prepared('ins').nparams, 3)
end

def transactions(c)
  begin
    c.transaction do
      c.exec('DELETE FROM drv_ruby')
      raise 'undo'
    end
  rescue RuntimeError
  end
  c.transaction do
    c.exec('SAVEPOINT a')
    check(state { c.exec_prepared('ins', [1, 'x', nil]) }, '23505')
    c.exec('ROLLBACK TO a')
    check(c.exec('SELECT count(*) FROM drv_ruby').getvalue(0, 0), '10')
  end
  check(state { c.exec('SELECT 1/0') }, '22012')
end

def copy(c)
  c.copy_data('COPY drv_ruby (id, v) FROM STDIN') { (1000...2000).each { |i| c.put_copy_data("#{i}\tcopied\n") } }
  lines = 0
  c.copy_data('COPY (SELECT id FROM drv_ruby WHERE id >= 1000) TO STDOUT') { lines += 1 while c.get_copy_data }
  check(lines, 1000)
  c.send_query('SELECT id FROM drv_ruby WHERE id >= 1000 ORDER BY id')
  c.set_single_row_mode
  rows = 0
  c.get_result.stream_each { rows += 1 }
  c.get_result
  check(rows, 1000)
end

def drain(c, n)
  out = []
  while out.count(:sync) < n
    r = begin
      c.get_result
    rescue PG::Error
      out << :error
      next
    end
    next if r.nil?
    case r.result_status
    when PG::PGRES_PIPELINE_SYNC then out << :sync
    when PG::PGRES_PIPELINE_ABORTED then out << :aborted
    when PG::PGRES_FATAL_ERROR then out << :error
    when PG::PGRES_TUPLES_OK then out << r.getvalue(0, 0)
    else out << :ok
    end
  end
  out
end

def pipeline(c)
  c.enter_pipeline_mode
  100.times { |i| c.send_query_prepared('ins', [3000 + i, 'p', nil]) }
  c.send_query_prepared('ins', [3000, 'again', nil])
  c.send_query_prepared('ins', [4000, 'skipped', nil])
  c.pipeline_sync
  c.send_query_params('SELECT count(*) FROM drv_ruby WHERE id >= $1::int', [3000])
  c.pipeline_sync
  check(drain(c, 2), [:ok] * 100 + [:error, :aborted, :sync, '0', :sync])
  c.exit_pipeline_mode
end

def concurrent(n)
  c = PG.connect
  c.prepare('same', "SELECT $1::int + #{n}")
  60.times { |i| check(c.exec_prepared('same', [i]).getvalue(0, 0).to_i, i + n) }
  c.exec('DEALLOCATE same')
  c.close
end

c = PG.connect
c.set_notice_processor { |_| }
basics(c)
transactions(c)
copy(c)
pipeline(c)
(0...8).map { |n| Thread.new { concurrent(n) }.tap { |t| t.report_on_exception = false } }.each(&:join)
c.exec('DROP TABLE drv_ruby')
c.close
puts 'PASS'
