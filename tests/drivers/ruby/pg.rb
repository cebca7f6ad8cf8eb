#!/usr/bin/ruby
# Logs in with Ruby's pg. What a client program is: ../README.md. It is on libpq, and looks up host names itself: libpq gets name and address.

require 'json'
require 'pg'
require 'timeout'

TIMEOUT = 60
NAMES = %w[host port user password dbname sslmode sslrootcert sslcert sslkey channel_binding].freeze

def log_in(request)
  parameters = { gssencmode: 'disable', connect_timeout: TIMEOUT }
  NAMES.each { |name| parameters[name.to_sym] = request[name] unless request[name].nil? }
  if request['sslnegotiation'] == 'direct'
    raise 'not supported by the driver: direct TLS came with libpq 17' if PG.library_version < 170_000

    parameters[:sslnegotiation] = 'direct'
  end
  connection = PG.connect(**parameters)
  begin
    connection.exec_params("SELECT current_user || ':' || $1", ['42']).getvalue(0, 0)
  ensure
    connection.close
  end
end

# A failed connection has no result, and so no SQLSTATE.
def attempt(request)
  result = Timeout.timeout(TIMEOUT, nil, 'timeout') { log_in(request) }
  result == "#{request['user']}:42" ? { ok: true } : { error: "the query gave #{result.inspect}" }
rescue StandardError => e
  { error: e.message.strip }
ensure
  GC.start # closes the socket of a failed connection
end

def print_line(object)
  puts JSON.generate(object)
end

$stdout.sync = true
libpq = PG.library_version
print_line(driver: 'pg', version: PG::VERSION, detail: "libpq #{libpq / 10_000}.#{libpq % 10_000}, ruby #{RUBY_VERSION}")
$stdin.each_line do |line|
  request = JSON.parse(line)
  print_line({ id: request['id'], ok: false, sqlstate: nil, error: nil }.merge(attempt(request)))
end
