#!/usr/bin/perl
# Logs in with DBD::Pg. What a client program is: ../README.md.
use v5.36;
use DBI;
use DBD::Pg;
use JSON::PP;

my $json = JSON::PP->new->canonical->utf8;
my $timeout = 60;
local $| = 1;

say $json->encode({driver => 'DBD::Pg', version => "$DBD::Pg::VERSION", detail => 'libpq ' . libpq()});
while (my $line = <STDIN>) {
    my $request = $json->decode($line);
    my $answer = {id => $request->{id}, ok => JSON::PP::false, sqlstate => undef, error => undef};
    my $result = eval { login($request) };
    my $expected = "$request->{user}:42";
    if (!defined $result) { $answer->{error} = $@ =~ s/\s+\z//r }
    elsif ($result eq $expected) { $answer->{ok} = JSON::PP::true }
    else { $answer->{error} = "the query gave '$result' instead of '$expected'" }
    say $json->encode($answer);
}

# A failed connection has DBI's state 08006, whatever the server said: so there is no SQLSTATE to report.
sub login ($request) {
    my %parameters = (connect_timeout => $timeout, gssencmode => 'disable');
    for my $name (qw(host port dbname sslmode sslrootcert sslcert sslkey channel_binding)) {
        $parameters{$name} = $request->{$name} if defined $request->{$name};
    }
    if (($request->{sslnegotiation} // '') eq 'direct') {
        die "not supported by the driver: direct TLS came with libpq 17\n" if libpq() < 17;
        $parameters{sslnegotiation} = 'direct';
    }
    my $source = 'dbi:Pg:' . join ';', map { "$_=$parameters{$_}" } sort keys %parameters;
    my $handle = DBI->connect($source, $request->{user}, $request->{password} // '', {RaiseError => 1, PrintError => 0});
    my ($result) = $handle->selectrow_array(q{SELECT current_user || ':' || ?}, undef, '42');
    $handle->disconnect;
    return $result;
}

# DBD::Pg tells libpq's version only on a connection; the name of the library's file has it too.
sub libpq () {
    state $version = do {
        open my $maps, '<', '/proc/self/maps' or die "/proc/self/maps: $!";
        my ($found) = map { m{libpq\.so\.5\.(\d+)} ? $1 : () } <$maps>;
        $found // 0;
    };
    return $version;
}
